#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Lays out build/ as it is installed, from what SwiftPM built: assemble.sh PRODUCTS BUILD. Copies only what is newer.
#   bin/martlet                          the server
#   lib/martlet/handlers/handler_*.so    our handlers
#   lib/martlet/runtime/*.so             Swift's run-time libraries, for machines without a toolchain
#   include/, lib/pkgconfig/             for authors of handlers
set -euo pipefail
products=$1
build=$2
sources=$(cd "$(dirname "$0")/.." && pwd)

# Headers are few: none of an earlier layout may stay.
rm -rf "$build/include"
mkdir -p "$build/bin" "$build/lib/martlet/handlers" "$build/lib/martlet/runtime" "$build/lib/pkgconfig" \
    "$build/include"

# A new file each time: a server that runs from build/ keeps the old one.
copy() { cmp --silent "$1" "$2" || cp --preserve=mode --remove-destination "$1" "$2"; }

copy "$products/martlet" "$build/bin/martlet"
for library in "$products"/libhandler_*.so; do
    name=${library##*/lib}
    copy "$library" "$build/lib/martlet/handlers/$name"
done

toolchain=$(swift -print-target-info | sed -n '/"runtimeLibraryPaths"/{n;s/.*"\(.*\)".*/\1/p}')
LD_LIBRARY_PATH=$toolchain ldd "$build/bin/martlet" "$build"/lib/martlet/handlers/*.so |
    awk '{print $3}' | grep "^$toolchain/" | sort --unique |
    while read -r library; do copy "$library" "$build/lib/martlet/runtime/${library##*/}"; done

(cd "$sources/Sources/HandlerABI/include" && find . -name '*.h') | while read -r header; do
    mkdir -p "$(dirname "$build/include/$header")"
    copy "$sources/Sources/HandlerABI/include/$header" "$build/include/$header"
done
copy "$sources/scripts/martlet-handler.pc" "$build/lib/pkgconfig/martlet-handler.pc"
