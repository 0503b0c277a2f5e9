#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches Debian's source package of tcmu-runner, by a list of sources of its own that leaves the system's alone, and
# unpacks it into the given folder. Prints the folder with qcow.c.
set -euo pipefail
folder=$1

find_source() { [ -f "$folder/source/qcow.c" ] && echo "$folder/source"; }

find_source && exit 0
rm -rf "$folder"
mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
cd "$folder"
# shellcheck source=/dev/null
. /etc/os-release
cat >debian.sources <<LIST
Types: deb-src
URIs: ${MARTLET_DEBIAN_MIRROR:-http://deb.debian.org/debian}
Suites: ${VERSION_CODENAME:-stable}
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
LIST
apt=(apt-get -o "Dir::Etc::sourcelist=$folder/debian.sources" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$folder/lists" -o "Dir::Cache=$folder/cache")
if ! { "${apt[@]}" update && "${apt[@]}" source --download-only tcmu-runner; } >download.log 2>&1 </dev/null; then
    echo "Cannot fetch Debian's source package tcmu-runner (see $folder/download.log)." >&2
    exit 1
fi
dpkg-source --no-check --extract ./*.dsc source >>download.log 2>&1
find_source || {
    echo "Debian's source package tcmu-runner holds no qcow.c: look into $folder." >&2
    exit 1
}
