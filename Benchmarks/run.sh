#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds the floor and the load generator and measures Martlet against the floor and Debian's tgt.
# All arguments go to run.py; `run.sh --help` lists them. BENCH_BUILD says where the programs go.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${BENCH_BUILD:-$here/../build/bench}
flags="-std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror"
mkdir -p "$build"
build=$(cd "$build" && pwd)
cd "$here"
# $flags is a list of words.
# shellcheck disable=SC2086
${CC:-cc} $flags -pthread -o "$build/floor" \
    floor.c floor_epoll.c floor_uring.c floor_connection.c floor_login.c floor_scsi.c floor_canned.c ring.c text_keys.c
# shellcheck disable=SC2086
${CC:-cc} $flags -o "$build/load" \
    load.c load_options.c session.c login.c pipeline.c incoming.c outgoing.c workload.c \
    histogram.c process_cost.c crc32c.c text_keys.c
cd "$OLDPWD"
exec python3 -B "$here/run.py" --programs "$build" "$@"
