#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Lays out build/ as it is installed, from what SwiftPM built: assemble.sh PRODUCTS BUILD. Copies only what is newer.
#   bin/martlet                          the server
#   lib/martlet/handlers/handler_*.so    our handlers
#   lib/martlet/runtime/*.so             Swift's run-time libraries, for machines without a toolchain
#   include/, lib/pkgconfig/             for authors of handlers
#   share/martlet/handler-kit/           for authors of handlers in Swift: a package
#   share/martlet/templates/             what `martlet handler new` writes
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

# Whole folders, in which nothing of an older build may stay behind; replaced only when something is new, because
# packages that depend on the kit build it again then.
replace() { # NEW OLD
    if diff --recursive --brief "$1" "$2" >/dev/null 2>&1; then rm -rf "$1"; else rm -rf "$2" && mv "$1" "$2"; fi
}
share=$build/share/martlet
rm -rf "$share"/new-*
mkdir -p "$share/new-kit/Sources"
cp "$sources/scripts/handler-kit/Package.swift" "$share/new-kit/"
for target in HandlerABI HandlerKit HandlerConformance; do cp -R "$sources/Sources/$target" "$share/new-kit/Sources/"; done
replace "$share/new-kit" "$share/handler-kit"
cp -R "$sources/scripts/templates" "$share/new-templates"
replace "$share/new-templates" "$share/templates"
