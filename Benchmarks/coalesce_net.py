# SPDX-License-Identifier: Apache-2.0
"""Two network namespaces with a slow, long wire between them: by netem where the kernel has it, else by a link of our
own between TAP devices. They go when the benchmark ends, however it ends."""

import json
import os
import pathlib
import re
import subprocess

from bench.servers import _die_with_parent

PREFIX = "martlet-wire"
ADDRESSES = {"target": "192.0.2.1", "initiator": "192.0.2.2"}  # RFC 5737; they exist in the namespaces only
NAMESPACE_FOLDER = pathlib.Path("/run/netns")
WIRE_OVERHEAD_BYTES = 24  # preamble, check sequence and gap of each Ethernet frame
STOP_SECONDS = 5
LINK_NICENESS = -20
ALONE_SPIN_US = 1000  # the link has a CPU for itself
SHARING_SPIN_US = 3


class WireError(Exception):
    """No wire can be made; the text says why."""


def _run(*words, check=True):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise WireError(f"{' '.join(str(word) for word in words)}: {done.stderr.strip() or 'failed'}")
    return done.returncode == 0


class Wire:
    """`with Wire(...) as wire`: namespaces `wire.target` and `wire.initiator`."""

    def __init__(self, link_program, rate_mbit, delay_us, link_cpu=None, kind=None):
        self.link_program = link_program
        self.rate_mbit = rate_mbit
        self.delay_us = delay_us  # of a round trip; half of it each way
        self.link_cpu = link_cpu
        self.kind = kind
        self.target = f"{PREFIX}-{os.getpid()}-t"
        self.initiator = f"{PREFIX}-{os.getpid()}-i"
        self.link = None
        self.link_report = None

    def __enter__(self):
        remove_left_behind()
        try:
            for name in (self.target, self.initiator):
                _run("ip", "netns", "add", name)
                _run("ip", "-n", name, "link", "set", "lo", "up")
            self.kind = self.kind or ("netem" if self._has_netem() else "link")
            if self.kind == "netem":
                self._join_with_netem()
            else:
                self._join_with_link()
            for name, address in ((self.target, "target"), (self.initiator, "initiator")):
                _run("ip", "-n", name, "address", "add", ADDRESSES[address] + "/24", "dev", "wire")
                _run("ip", "-n", name, "link", "set", "wire", "txqueuelen", 10000, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _has_netem(self):
        has = _run("tc", "-n", self.target, "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1us", check=False)
        _run("tc", "-n", self.target, "qdisc", "del", "dev", "lo", "root", check=False)
        return has

    def _join_with_netem(self):
        _run("ip", "-n", self.target, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns",
             self.initiator)
        for name in (self.target, self.initiator):
            _run("tc", "-n", name, "qdisc", "add", "dev", "wire", "root", "netem", "delay",
                 f"{self.delay_us // 2}us", "rate", f"{self.rate_mbit}mbit", WIRE_OVERHEAD_BYTES, "limit", 10000)

    def _join_with_link(self):
        self.link = subprocess.Popen(
            [self.link_program, f"{self.target}:wire", f"{self.initiator}:wire", str(self.delay_us // 2),
             str(ALONE_SPIN_US if self.link_cpu is not None else SHARING_SPIN_US)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=_die_with_parent)
        if self.link.stdout.readline().strip() != "ready":
            raise WireError(self.link.stderr.read().strip() or "the link ended")
        # Frames must not wait for whoever computes.
        os.setpriority(os.PRIO_PROCESS, self.link.pid, LINK_NICENESS)
        if self.link_cpu is not None:
            os.sched_setaffinity(self.link.pid, {self.link_cpu})
        for name in (self.target, self.initiator):
            _run("tc", "-n", name, "qdisc", "add", "dev", "wire", "root", "tbf", "rate", f"{self.rate_mbit}mbit",
                 "burst", "16kb", "latency", "50ms", "overhead", WIRE_OVERHEAD_BYTES)

    def __exit__(self, *_):
        if self.link:
            self.link.terminate()
            try:
                said, _ = self.link.communicate(timeout=STOP_SECONDS)
                self.link_report = json.loads(said) if said.strip() else None
            except (subprocess.TimeoutExpired, ValueError):
                self.link.kill()
                self.link.wait()
        for name in (self.target, self.initiator):
            if (NAMESPACE_FOLDER / name).exists():
                _run("ip", "netns", "del", name, check=False)

    def describe(self):
        """What was used, and how far it is what it stands for."""
        half = f"{self.delay_us // 2} µs"
        if self.kind == "netem":
            return (f"veth pair with netem: {self.rate_mbit} Mbit/s and {half} each way. netem releases packets by "
                    "timer, so the real delay is a little longer.")
        place = (f"It has CPU {self.link_cpu} for itself." if self.link_cpu is not None else
                 "It takes CPU time that the server and the load generator do not have.")
        text = (f"this kernel has no netem: two TAP devices shaped by tbf to {self.rate_mbit} Mbit/s, joined by "
                f"Benchmarks/coalesce_link.c, which holds each frame for {half} each way and hands over segmentation "
                f"offload packets whole. {place}")
        if self.link_report:
            late = self.link_report["late_us"]
            text += (f" It moved {self.link_report['frames']} frames, dropped {self.link_report['dropped']}, and was "
                     f"late by {late['p50']} µs (median), {late['p90']} µs (90 %), {late['p99']} µs (99 %).")
        return text


def remove_left_behind():
    """Namespaces of runs that were killed."""
    for path in NAMESPACE_FOLDER.glob(PREFIX + "-*"):
        found = re.fullmatch(re.escape(PREFIX) + r"-(\d+)-[ti]", path.name)
        if found and not pathlib.Path("/proc", found.group(1)).exists():
            _run("ip", "netns", "del", path.name, check=False)
