#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copies what assemble.sh laid out to where it is installed: install.sh BUILD FOLDER, FOLDER being DESTDIR and PREFIX.
# Nothing in it names the folder: programs and headers find each other by where they stand.
set -euo pipefail
build=$1
folder=$2

install -d "$folder/bin" "$folder/lib" "$folder/include" "$folder/share"
install -m 755 "$build/bin/martlet" "$folder/bin/martlet"
# A source of an older kit would be compiled with the new ones.
rm -rf "$folder/share/martlet/handler-kit" "$folder/share/martlet/templates"
for part in lib/martlet lib/pkgconfig include share; do
    (cd "$build" && find "$part" -type f) | while read -r file; do
        install -D --mode="$([ -x "$build/$file" ] && echo 755 || echo 644)" "$build/$file" "$folder/$file"
    done
done
