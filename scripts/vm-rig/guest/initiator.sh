# SPDX-License-Identifier: Apache-2.0
# What Linux's own initiator does with Martlet, in the guest. Above this text stand, as shell variables:
#   host            the host's address as the guest sees it
#   ports           the portals' ports
#   target          the target without authentication
#   chap            lines "TARGET ALGORITHM USER SECRET [TARGET'S-USER TARGET'S-SECRET]", or none
#   megabytes       what fio writes
#   replacement     node.session.timeo.replacement_timeout, seconds
# Each check says "@@ begin NAME", then "@@ pass NAME SECONDS [NOTE]" or "@@ fail NAME SECONDS".

failures=0
note=

check() { # check NAME COMMAND...
    local name=$1 begin=$EPOCHREALTIME status seconds
    shift
    note=
    echo "@@ begin $name"
    "$@"
    status=$?
    seconds=$(awk -v a="$begin" -v z="$EPOCHREALTIME" 'BEGIN { printf "%.1f", z - a }')
    if [ $status = 0 ]; then
        echo "@@ pass $name $seconds $note"
    else
        echo "@@ fail $name $seconds status $status"
        failures=$((failures + 1))
        dmesg | tail -n 15
    fi
    return $status
}

wait_for() { # wait_for SECONDS CONDITION
    local steps=$(($1 * 5)) i
    shift
    for ((i = 0; i < steps; i++)); do
        eval "$*" && return 0
        sleep 0.2
    done
    return 1
}

disks() { lsblk --noheadings --nodeps --output NAME,TRAN 2>/dev/null | awk '$2 == "iscsi" { print "/dev/" $1 }'; }
disk_count() { disks | wc -l; }
first_port=${ports%% *}

prepare() {
    echo 'InitiatorName=iqn.2026-11.org.martlet:guest' >/etc/iscsi/initiatorname.iscsi
    mkdir -p /run/lock/iscsi
    /lib/systemd/systemd-udevd --daemon || return
    modprobe -a iscsi_tcp sd_mod sg scsi_dh_alua dm_multipath dm_service_time dm_round_robin ext4 crc32c_intel
    udevadm trigger && udevadm settle --timeout=60
    sed -i -e "s/^node.session.timeo.replacement_timeout.*/node.session.timeo.replacement_timeout = $replacement/" \
        -e 's/^node.startup.*/node.startup = manual/' /etc/iscsi/iscsid.conf
    iscsid && wait_for 10 'iscsiadm -m session 2>&1 | grep -q "No active sessions"'
}

discovery() {
    local found port
    found=$(iscsiadm -m discovery -t sendtargets -p "$host:$first_port") || return
    echo "$found"
    for port in $ports; do grep -q "^$host:$port,.* $target\$" <<<"$found" || return; done
    # A portal that the guest cannot reach would be one too many.
    [ "$(grep -c " $target\$" <<<"$found")" = "$(wc -w <<<"$ports")" ]
}

node() { iscsiadm -m node -T "$target" -p "$host:$first_port" "$@"; }

log_in() { node --login && wait_for 30 '[ "$(disk_count)" -ge 1 ]'; }
log_out() { iscsiadm -m session >/dev/null 2>&1 || return 0; iscsiadm -m node --logoutall=all && wait_for 30 '[ "$(disk_count)" = 0 ]'; }

login() {
    log_in || return
    lsblk --output NAME,SIZE,TRAN,MODEL
    sg_inq "$(disks | head -n 1)" && log_out
}

digests() { # digests HEADER DATA
    local state
    node -o update -n 'node.conn[0].iscsi.HeaderDigest' -v "$1" || return
    node -o update -n 'node.conn[0].iscsi.DataDigest' -v "$2" || return
    log_in || return
    state=$(iscsiadm -m session -P 2)
    grep -q "HeaderDigest: $1" <<<"$state" && grep -q "DataDigest: $2" <<<"$state" || return
    dd if=/dev/urandom of=/tmp/pattern bs=64k count=64 status=none
    dd if=/tmp/pattern of="$(disks | head -n 1)" bs=64k oflag=direct status=none || return
    dd if="$(disks | head -n 1)" bs=64k count=64 iflag=direct status=none | cmp - /tmp/pattern || return
    log_out
}

no_digests() {
    node -o update -n 'node.conn[0].iscsi.HeaderDigest' -v None
    node -o update -n 'node.conn[0].iscsi.DataDigest' -v None
}

chap_login() { # chap_login TARGET ALGORITHM USER SECRET [USER-IN SECRET-IN]
    local other=$target
    target=$1
    iscsiadm -m discovery -t sendtargets -p "$host:$first_port" >/dev/null
    node -o new >/dev/null 2>&1
    node -o update -n node.session.auth.authmethod -v CHAP &&
        node -o update -n node.session.auth.chap_algs -v "$2" &&
        node -o update -n node.session.auth.username -v "$3" &&
        node -o update -n node.session.auth.password -v "$4"
    if [ -n "${5:-}" ]; then
        node -o update -n node.session.auth.username_in -v "$5" && node -o update -n node.session.auth.password_in -v "$6"
    fi
    log_in && log_out
    local status=$?
    # And not with another secret.
    if [ $status = 0 ] && [ -z "${5:-}" ]; then
        node -o update -n node.session.auth.password -v "not-the-$4"
        node --login && status=1
    fi
    target=$other
    return $status
}

path_count() { multipath -ll 2>/dev/null | grep -c 'active ready running'; }
map() { echo "/dev/mapper/$(dmsetup ls --target multipath 2>/dev/null | awk 'NR == 1 { print $1 }')"; }

two_paths() {
    multipathd || return
    iscsiadm -m node -T "$target" --login || return
    wait_for 60 '[ "$(path_count)" = 2 ] && [ -b "$(map)" ]' || { multipath -ll; return 1; }
    multipath -ll
}

verified() { # verified FILE NAME [OPTION...]: fio writes, reads and compares
    local file=$1 name=$2
    shift 2
    fio --name="$name" --filename="$file" --size="${megabytes}M" --rw=randwrite --bsrange=4k-64k --ioengine=libaio \
        --iodepth=16 --direct=1 --verify=crc32c --verify_fatal=1 --do_verify=1 --randseed=7 "$@" >/tmp/fio.out 2>&1
    local status=$?
    grep -E 'err=|verify|READ:|WRITE:' /tmp/fio.out
    return $status
}

file_system() { # file_system DEVICE
    mkfs.ext4 -q -F "$1" && mount "$1" /mnt && verified /mnt/data fs && umount /mnt && e2fsck -f -n "$1"
}

has_lost_sessions() { grep -qv LOGGED_IN /sys/class/iscsi_session/session*/state; }

# The server is killed and started again while fio writes; then everything is read again and compared.
killed() { # killed DEVICE
    local begin
    mount "$1" /mnt || return
    verified /mnt/load load --loops=4 &
    local fio=$!
    sleep 3
    begin=$(cut -d' ' -f1 /proc/uptime)
    echo "@@ host restart"
    wait_for 60 has_lost_sessions && wait_for "$replacement" '! has_lost_sessions' || return
    note="sessions were back after $(awk -v a="$begin" '{ printf "%.1f", $1 - a }' /proc/uptime) s"
    wait $fio || { cat /tmp/fio.out; return 1; }
    umount /mnt && e2fsck -f -n "$1"
}

check prepare prepare || exit
check discovery discovery
check login login
for header in None CRC32C; do
    for data in None CRC32C; do
        check "digests-$header-$data" digests "$header" "$data"
    done
done
no_digests
while read -r line; do
    [ -n "$line" ] || continue
    set -- $line
    check "chap-$2$([ -n "${5:-}" ] && echo -mutual)" chap_login "$@"
done <<<"$chap"
log_in && disk=$(disks | head -n 1)
check file-system file_system "$disk"
check kill-one-path killed "$disk"
log_out
if check two-paths two_paths; then
    check multipath-file-system file_system "$(map)"
    check kill-two-paths killed "$(map)"
    multipath -F
fi
check logout log_out
exit $failures
