#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds the programs in C and measures: all arguments go to run.py; `run.sh --help` lists them.
# BENCH_BUILD says where the programs go.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${BENCH_BUILD:-$here/../build/bench}
flags="-std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror"
mkdir -p "$build"
build=$(cd "$build" && pwd)

compile() { # NAME SOURCE...
    name=$1
    shift
    # $flags is a list of words.
    # shellcheck disable=SC2086
    (cd "$here" && ${CC:-cc} $flags -pthread -o "$build/$name" "$@")
}
compile floor floor.c floor_epoll.c floor_uring.c floor_connection.c floor_login.c floor_scsi.c floor_canned.c ring.c \
    text_keys.c
compile load load.c load_options.c session.c login.c pipeline.c incoming.c outgoing.c workload.c histogram.c \
    process_cost.c crc32c.c text_keys.c
compile idle_sessions idle_sessions.c load_options.c session.c login.c crc32c.c text_keys.c
compile costs costs.c
compile count_allocations.so -shared -fPIC count_allocations.c

# A Python with matplotlib, if there is one: the distribution's has it when its package is installed.
python=python3
for candidate in python3 /usr/bin/python3; do
    if "$candidate" -c 'import matplotlib' 2>/dev/null; then
        python=$candidate
        break
    fi
done
exec "$python" -B "$here/run.py" --programs "$build" "$@"
