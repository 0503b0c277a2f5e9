#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds the load generator and measures `martlet serve --coalesce` over a slow, long wire between two network
# namespaces. Needs root. All arguments go to coalesce.py; `coalesce.sh --help` lists them.
# BENCH_BUILD says where the programs go, MARTLET_INCLUDE where the headers for handlers are.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${BENCH_BUILD:-$here/../build/bench}
mkdir -p "$build"
build=$(cd "$build" && pwd)
(cd "$here" && ${CC:-cc} -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -pthread -o "$build/load" \
    load.c load_options.c session.c login.c pipeline.c incoming.c outgoing.c workload.c histogram.c process_cost.c \
    crc32c.c text_keys.c)
exec python3 -B "$here/coalesce.py" --programs "$build" "$@"
