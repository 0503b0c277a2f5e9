#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Serves 1 GiB of memory on the default portal, and says what to try with it.
set -euo pipefail
server=$1
url=iscsi://127.0.0.1:3260/iqn.2026-11.org.martlet:default/0

cat >&2 <<HELP
Serving 1 GiB of memory until Ctrl-C. In another terminal (packages libiscsi-bin, qemu-utils, qemu-block-extra):
  iscsi-ls -s iscsi://127.0.0.1:3260
  iscsi-inq $url
  qemu-img convert -n -f raw -O raw SOME.img $url
HELP
exec "$server" serve ram/1G
