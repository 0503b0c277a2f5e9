#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages of the named sets, those that are missing:
# install-packages.sh build [test] [conformance] [interop] [sources] [bench].
# Without root it only says what to install, and fails.
set -euo pipefail

declare -A sets=(
    [build]="g++ git libaio-dev librbd-dev libssl-dev"
    [test]="libiscsi-bin libiscsi-dev pkg-config qemu-block-extra qemu-utils zlib1g"
    [conformance]="libiscsi-bin libiscsi7 python3"
    [sources]="dpkg-dev libglusterfs-dev librbd-dev zlib1g-dev"
    [interop]="ceph-common ceph-mon ceph-osd kmod mmdebstrap open-isns-server open-isns-utils python3
        qemu-system-x86"
    [bench]="fio linux-perf python3-matplotlib strace tgt valgrind"
)

is_installed() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=()
for name in "$@"; do
    for package in ${sets[$name]:?"unknown set of packages"}; do
        is_installed "$package" || missing+=("$package")
    done
done

if ! command -v swift >/dev/null; then
    echo "Swift 6.2 or newer is not on the PATH: install a toolchain from swift.org, then run make again." >&2
    exit 1
fi
[ ${#missing[@]} -gt 0 ] || exit 0

install="apt-get install --yes --no-install-recommends ${missing[*]}"
if [ "$(id -u)" -ne 0 ]; then
    echo "Packages are missing: run 'sudo $install', then run make again." >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
echo "Installing ${missing[*]}" >&2
$install >&2 </dev/null || { apt-get update >&2 && $install >&2 </dev/null; }
