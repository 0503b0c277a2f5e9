#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Unpacks Debian's tcmu-runner, without installing it, into the given folder: its handlers are test subjects.
# Prints the folder with handler_qcow.so.
set -euo pipefail
folder=$1

find_handlers() {
    local library
    library=$(find "$folder/root" -name handler_qcow.so -print -quit 2>/dev/null) || true
    [ -n "$library" ] && dirname "$library"
}

find_handlers && exit 0
rm -rf "$folder"
mkdir -p "$folder/root"
cd "$folder"
download() { apt-get download tcmu-runner >download.log 2>&1 </dev/null; }
if ! download; then
    # A machine that never fetched the package lists; only root can.
    if [ "$(id -u)" -ne 0 ] || ! apt-get update >>download.log 2>&1 </dev/null || ! download; then
        echo "Cannot download Debian's package tcmu-runner (see $folder/download.log):" \
            "run 'sudo apt-get update', then run make again." >&2
        exit 1
    fi
fi
dpkg-deb --extract tcmu-runner_*.deb root
find_handlers || {
    echo "Debian's package tcmu-runner holds no handler_qcow.so: look into $folder/root." >&2
    exit 1
}
