#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What scripts/ceph-rig cannot say in shell: the configuration, and commands to the monitor.

One process instead of a "ceph" for each command, which takes 0.4 seconds to start.
"""
import json
import socket
import sys
import time
import uuid

SUBSYSTEMS = """none lockdep context crush mds buffer timer filer objecter rados rbd rbd_mirror rbd_replay rbd_pwl
journaler objectcacher client osd optracker objclass filestore journal ms mon monc paxos tp auth crypto finisher
reserver heartbeatmap perfcounter asok throttle refs compressor bluestore bluefs bdev kstore rocksdb leveldb memdb mgr
mgrc""".split()

# Small, quiet and quick to notice a restart. What is not the default has its reason.
CONFIGURATION = """[global]
fsid = {fsid}
mon initial members = a
mon host = [v2:127.0.0.1:{port}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
public network = 127.0.0.0/8
ms bind ipv6 = false
# The first protocol would listen on a port more.
ms bind msgr1 = false
ms bind port min = {first_port}
ms bind port max = {last_port}
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = {folder}/keyring
run dir = {folder}
admin socket = {folder}/$name.$pid.asok
pid file = {folder}/$name.pid
log file = {folder}/$name.log
log to stderr = false
mon cluster log file = {folder}/cluster.log
crash dir = {folder}/crash
{debug}
log max recent = 1
# One OSD is enough.
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon warn on insecure global id reclaim = false
mon warn on insecure global id reclaim allowed = false
auth allow insecure global id reclaim = false
ms async op threads = 2
paxos propose interval = 0.05
paxos min wait = 0.01
# The read lease, as a part of the heartbeat grace of 20 s. Where one OSD is all there is, I/O that meets a lease that
# ran out, because the OSD was stopped or starved, waits for the next map of OSDs.
osd pool default read lease ratio = 0.6
[client]
log file = /dev/null
admin socket =
pid file =
# A client that has the map of an OSD that was killed asks for a new one after this; 10 and 5 s as a rule.
objecter timeout = 1
objecter tick interval = 0.5
[mon]
mon data = {folder}/mon
mon data avail warn = 1
mon data avail crit = 0
mon compact on start = false
mon osd down out interval = 3600
[mon.a]
host = localhost
[osd]
osd data = {folder}/osd.$id
osd objectstore = bluestore
bluestore block size = {byte_count}
bluestore block create = true
bluestore cache autotune = false
bluestore cache size = 134217728
osd memory target = 939524096
osd op num shards = 2
osd op num threads per shard = 1
osd class default list = *
osd class load list = *
"""


def free_ports(count):
    """The first of so many neighbouring ports of which none is in use."""
    for first in range(16789, 32000, count):
        sockets = []
        try:
            for port in range(first, first + count):
                sockets.append(socket.socket())
                sockets[-1].bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for each in sockets:
                each.close()
    raise SystemExit("ceph-rig: no free ports on 127.0.0.1")


def configure(folder, megabytes):
    ports = 20
    port = free_ports(ports)
    text = CONFIGURATION.format(
        fsid=uuid.uuid4(), port=port, first_port=port + 1, last_port=port + ports - 1, folder=folder,
        byte_count=int(megabytes) << 20, debug="\n".join(f"debug {each.replace('_', ' ')} = 0/0" for each in SUBSYSTEMS))
    with open(f"{folder}/ceph.conf", "w", encoding="utf-8") as file:
        file.write(text)


def connect(folder):
    import rados

    settings = {"client_mount_timeout": "30", "rados_osd_op_timeout": "60", "rados_mon_op_timeout": "30"}
    cluster = rados.Rados(conffile=f"{folder}/ceph.conf", name="client.admin", conf=settings)
    cluster.connect(timeout=30)
    return cluster


def command(cluster, **words):
    result, answer, reason = cluster.mon_command(json.dumps(words), b"")
    if result != 0:
        raise SystemExit(f"ceph-rig: {words['prefix']}: {reason}")
    return answer


def add_osd(folder):
    with open(f"{folder}/osd.0/uuid", encoding="utf-8") as file:
        identifier = file.read().strip()
    cluster = connect(folder)
    if 0 not in json.loads(command(cluster, prefix="osd ls", format="json")):
        command(cluster, prefix="osd new", uuid=identifier, id=0)
    cluster.shutdown()


def bury_osd(folder):
    """The OSD that was killed serves nobody any more: the next one need not wait until its read lease is over."""
    cluster = connect(folder)
    command(cluster, prefix="osd down", ids=["0"], definitely_dead=True)
    cluster.shutdown()


def make_pool(folder):
    cluster = connect(folder)
    if "rbd" not in cluster.list_pools():
        command(cluster, prefix="osd pool create", pool="rbd", pg_num=8, pgp_num=8)
        command(cluster, prefix="osd pool application enable", pool="rbd", app="rbd")
    deadline = time.monotonic() + 60
    while not any(osd["up"] for osd in json.loads(command(cluster, prefix="osd dump", format="json"))["osds"]):
        if time.monotonic() > deadline:
            raise SystemExit(f"ceph-rig: the OSD does not come up: see {folder}/osd.0.log")
        time.sleep(0.05)
    cluster.shutdown()


if __name__ == "__main__":
    {"configure": configure, "add-osd": add_osd, "bury-osd": bury_osd, "make-pool": make_pool}[sys.argv[1]](*sys.argv[2:])
