# SPDX-License-Identifier: Apache-2.0
"""Measures when responses should leave: `martlet serve --coalesce` off, turn, adaptive and classic, over a wire of
1 Gb/s with a delay, with a handler that answers in the call and one that answers later from its own thread."""

import argparse
import json
import os
import pathlib
import platform
import shlex
import signal
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

from bench.servers import Server, ServerError
from coalesce_net import ADDRESSES, Wire, WireError

HERE = pathlib.Path(__file__).resolve().parent
DEFAULT_MARTLET = HERE.parent / "build" / "bin" / "martlet"
MODES = ["off", "turn", "adaptive", "classic"]
DEPTHS = [1, 4, 16, 32, 64, 128]
LUN = "64M"
END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOAD_GRACE_SECONDS = 60

LOW_DEPTH, HIGH_DEPTH = 16, 64
LATENCY_MARK, IOPS_MARK, CLASSIC_MARK, TURN_MARK = 1.03, 1.6, 1.0, 0.97


def parse_arguments():
    parser = argparse.ArgumentParser(prog="coalesce.sh", description=__doc__)
    parser.add_argument("--programs", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--martlet", default=os.environ.get("MARTLET", DEFAULT_MARTLET), type=pathlib.Path,
                        help="the martlet executable (default: $MARTLET, else build/bin/martlet)")
    parser.add_argument("--quick", action="store_true", help="one round of 0.5 s at depths 1, 16 and 64")
    parser.add_argument("--rounds", type=int, help="how often each cell is measured (default 3)")
    parser.add_argument("--seconds", type=float, help="measured time of each run (default 1.5)")
    parser.add_argument("--warmup", type=float, default=0.5,
                        help="before each run (default 0.5): what adaptive has learnt of the load before is forgotten "
                        "with its connection, so this is all the time it has")
    parser.add_argument("--depths", help="queue depths, separated by commas (default: 1, 4, 16, 32, 64, 128; a command window bounds them)")
    parser.add_argument("--modes", default=",".join(MODES), help="of off, turn, adaptive, classic")
    parser.add_argument("--handlers", default="inline,later", help="of inline, later")
    parser.add_argument("--later-us", type=int, default=50, help="what the later handler waits (default 50)")
    parser.add_argument("--rate-mbit", type=int, default=1000, help="of the wire (default 1000)")
    parser.add_argument("--delay-us", type=int, default=100, help="of a round trip on the wire (default 100)")
    parser.add_argument("--wire", choices=["netem", "link"], help="default: netem where the kernel has it")
    parser.add_argument("--block-size", default="512", help="of the random reads (default 512)")
    parser.add_argument("--plain", metavar="COMMAND", help="measure this server alone, to try the rig: a command that "
                        "prints an iscsi:// URL; {portal} is replaced by the address to listen on")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every figure of every run there")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 3)
    arguments.seconds = arguments.seconds or (0.5 if arguments.quick else 1.5)
    try:
        arguments.depths = ([int(depth) for depth in arguments.depths.split(",")] if arguments.depths
                            else [1, 16, 64] if arguments.quick else DEPTHS)
    except ValueError:
        parser.error("--depths takes numbers separated by commas")
    arguments.modes, arguments.handlers = arguments.modes.split(","), arguments.handlers.split(",")
    if set(arguments.modes) - set(MODES) or set(arguments.handlers) - {"inline", "later"}:
        parser.error("--modes are off, turn, adaptive, classic; --handlers are inline, later")
    if not all(1 <= depth <= 1024 for depth in arguments.depths):
        parser.error("a queue depth is 1 to 1024")
    return arguments


def build(arguments):
    """The wire and the later handler, beside the load generator."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    include = pathlib.Path(os.environ.get("MARTLET_INCLUDE", arguments.martlet.resolve().parent.parent / "include"))
    flags = ["-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror"]
    commands = [[*compiler, "-std=c11", *flags, "-o", arguments.programs / "coalesce_link", HERE / "coalesce_link.c"]]
    if not arguments.plain and "later" in arguments.handlers:
        commands.append([*compiler, "-std=gnu11", *flags, "-fPIC", "-shared", "-pthread", "-I", include / "tcmu-runner",
                         "-o", arguments.programs / "handler_later.so", HERE / "handler_later.c"])
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(str(word) for word in command)}:\n{done.stderr.strip()}")


def machine():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} CPUs ({models[0] if models else platform.machine()}), Linux {platform.release()}"


class Rig:
    """The servers in one namespace, the load generator in the other."""

    def __init__(self, arguments, wire):
        self.arguments = arguments
        self.wire = wire
        self.servers = {}  # (handler, mode) -> Server
        self.failures = []
        cpus = sorted(os.sched_getaffinity(0))
        # With a CPU for each the parties do not disturb each other, and the initiator may poll.
        self.cpus = (cpus[0], cpus[1]) if len(cpus) >= 3 else None

    def inside(self, namespace, *command):
        return ["ip", "netns", "exec", namespace, *(str(word) for word in command)]

    def start_servers(self):
        arguments = self.arguments
        portal = ADDRESSES["target"] + ":0"
        if arguments.plain:
            words = shlex.split(arguments.plain.replace("{portal}", portal))
            self.start(("plain", "plain"), words)
            return
        units = {"inline": f"ram/{LUN}", "later": f"later/{arguments.later_us},size={LUN}"}
        for handler in arguments.handlers:
            for mode in arguments.modes:
                self.start((handler, mode), [
                    arguments.martlet, "serve", "--portal", portal, "--loops", 1, "--coalesce", mode,
                    "--handler-path", arguments.programs, units[handler]])

    def start(self, key, words):
        server = Server(" ".join(key), self.inside(self.wire.target, *words), {self.cpus[0]} if self.cpus else None)
        self.servers[key] = server
        try:
            server.start()
            self.load(server, ["--rw", "write", "--block-size", "64K", "--queue-depth", "4", "--fill", "--seconds",
                               "0.05", "--warmup", "0"], 0)
            server.pause()
        except ServerError as error:
            server.stop()
            del self.servers[key]
            self.failures.append(str(error))
            print(f"left out: {error}", file=sys.stderr)

    def stop_servers(self):
        for server in self.servers.values():
            server.stop()

    def load(self, server, options, seconds):
        command = self.inside(
            self.wire.initiator, self.arguments.programs / "load", "--url", server.url, "--size", LUN, "--server-pid",
            server.process.pid, *options)
        cpus = {self.cpus[1]} if self.cpus else None
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False,
                                  timeout=seconds + LOAD_GRACE_SECONDS,
                                  preexec_fn=(lambda: os.sched_setaffinity(0, cpus)) if cpus else None)
        except subprocess.TimeoutExpired as error:
            raise ServerError(f"{server.name} does not come to an end") from error
        if done.returncode != 0:
            server.check()
            raise ServerError(f"{server.name}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def measure(self, server, depth):
        arguments = self.arguments
        server.resume()
        try:
            return self.load(server, [
                "--rw", "randread", "--block-size", arguments.block_size, "--queue-depth", depth, "--seconds",
                arguments.seconds, "--warmup", arguments.warmup, *(["--poll"] if self.cpus else [])],
                arguments.seconds + arguments.warmup)
        except ServerError as error:
            self.failures.append(f"depth {depth}: {error}")
            print(f"depth {depth}: {error}", file=sys.stderr)
            return None
        finally:
            server.pause()

    def run(self):
        """{handler: {depth: {mode: [result of each round]}}}. Modes follow each other directly, in changing order."""
        results = {}
        for number in range(self.arguments.rounds):
            for handler in dict.fromkeys(handler for handler, _ in self.servers):
                modes = [mode for name, mode in self.servers if name == handler]
                shift = number % len(modes)
                for depth in self.arguments.depths:
                    for mode in modes[shift:] + modes[:shift]:
                        result = self.measure(self.servers[handler, mode], depth)
                        results.setdefault(handler, {}).setdefault(depth, {}).setdefault(mode, []).append(result)
                        if result:
                            print(f"round {number + 1}  {handler:7} depth {depth:<4} {mode:9} "
                                  f"{result['iops']:>8.0f} IOPS {result['latency_us']['mean']:>8.1f} µs "
                                  f"{result['server_cpu_us_per_command']:>6.2f} µs CPU", file=sys.stderr, flush=True)
        return results


class Ratio(NamedTuple):
    """Of two figures that were measured in one round: the median of the rounds, and their range."""

    median: float
    low: float
    high: float


def ratio(ours, theirs, *path):
    ratios = []
    for one, other in zip(ours or [], theirs or []):
        for key in path:
            one, other = one and one[key], other and other[key]
        if one and other:
            ratios.append(one / other)
    return Ratio(statistics.median(ratios), min(ratios), max(ratios)) if ratios else None


def median(rounds, *path):
    figures = []
    for result in rounds or []:
        for key in path:
            result = result and result[key]
        if result is not None:
            figures.append(result)
    return statistics.median(figures) if figures else None


def judge(depth, by_mode):
    """[(what, ratio, mark, met)] for one depth."""
    adaptive = by_mode.get("adaptive")
    verdicts = []

    def add(what, value, mark, met):
        if value is not None:
            verdicts.append((what, value, mark, met(value.median)))

    if depth >= HIGH_DEPTH:
        add("IOPS ÷ off", ratio(adaptive, by_mode.get("off"), "iops"), f"≥ {IOPS_MARK}", lambda v: v >= IOPS_MARK)
    if depth <= LOW_DEPTH:
        ratios = [ratio(adaptive, by_mode.get(mode), "latency_us", "mean") for mode in ("off", "turn")]
        ratios = [value for value in ratios if value is not None]
        add("latency ÷ best fixed", max(ratios, default=None), f"≤ {LATENCY_MARK}", lambda v: v <= LATENCY_MARK)
    add("IOPS ÷ turn", ratio(adaptive, by_mode.get("turn"), "iops"), f"≥ {TURN_MARK}", lambda v: v >= TURN_MARK)
    add("IOPS ÷ classic", ratio(adaptive, by_mode.get("classic"), "iops"), f"≥ {CLASSIC_MARK:g}",
        lambda v: v >= CLASSIC_MARK)
    return verdicts


def marks(results):
    """As bench/part_coalesce.py wants them: texts."""
    return [{"name": f"adaptive coalescer: {what}", "load": f"{handler} handler, depth {depth}",
             "measured": f"{value:.2f}", "note": f"{low:.2f} to {high:.2f}", "bound": mark,
             "verdict": "met" if met else "**not met**"}
            for handler, by_depth in results.items() for depth, by_mode in by_depth.items()
            for what, (value, low, high), mark, met in judge(depth, by_mode)]


def cell(rounds):
    iops = median(rounds, "iops")
    if iops is None:
        return "failed"
    return (f"{iops / 1000:.1f}k, {median(rounds, 'latency_us', 'mean'):.0f} / "
            f"{median(rounds, 'latency_us', 'p99'):.0f}, {median(rounds, 'server_cpu_us_per_command'):.1f}")


def markdown(results, conditions):
    parts = [conditions, "IOPS, latency mean / 99 % in µs, server CPU in µs per command; medians. The marks are "
             "ratios within a round, adaptive to the other."]
    for handler, by_depth in results.items():
        modes = list(dict.fromkeys(mode for by_mode in by_depth.values() for mode in by_mode))
        lines = ["| depth | " + " | ".join(modes) + " | marks |", "|---:|" + "---:|" * len(modes) + "---|"]
        for depth, by_mode in by_depth.items():
            marks = "; ".join(f"{what} {value.median:.2f} ({mark}: {'met' if met else '**not met**'})"
                              for what, value, mark, met in judge(depth, by_mode))
            lines.append(f"| {depth} | " + " | ".join(cell(by_mode.get(mode)) for mode in modes) + f" | {marks} |")
        parts.append(f"### Handler: {handler}\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def end_on_signal(number, _frame):
    sys.exit(128 + number)


def measure(arguments, wire):
    rig = Rig(arguments, wire)
    try:
        rig.start_servers()
        if not rig.servers:
            sys.exit("there is no server to measure")
        return rig, rig.run()
    finally:
        for number in END_SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must leave nothing behind
        rig.stop_servers()


def main():
    arguments = parse_arguments()
    if os.geteuid() != 0:
        print("The wire is made of network namespaces, which only root may make: run this as root.", file=sys.stderr)
        sys.exit(2)
    if not arguments.plain and not os.access(arguments.martlet, os.X_OK):
        print(f"{arguments.martlet} is not there: build it first, or name it.", file=sys.stderr)
        sys.exit(2)
    build(arguments)
    for number in END_SIGNALS:
        signal.signal(number, end_on_signal)
    cpus = sorted(os.sched_getaffinity(0))
    wire = Wire(arguments.programs / "coalesce_link", arguments.rate_mbit, arguments.delay_us,
                cpus[-1] if len(cpus) >= 3 else None, arguments.wire)
    try:
        with wire:
            rig, results = measure(arguments, wire)
    except WireError as error:
        sys.exit(f"no wire: {error}")
    initiator = "polls" if rig.cpus else "sleeps while it waits, as there is no CPU for it alone"
    conditions = (f"{time.strftime('%Y-%m-%d')}, {machine()}; {arguments.rounds} rounds of "
                  f"{arguments.seconds:g} s; {arguments.block_size}-byte random reads over one connection; the "
                  f"initiator {initiator}; the later handler waits {arguments.later_us} µs. A session's command window bounds the depth: 128 by default.\n\n"
                  f"The wire: {wire.describe()}")
    tables = markdown(results, conditions)
    print(tables)
    if arguments.json:
        arguments.json.write_text(json.dumps(
            {"marks": marks(results), "markdown": tables, "not_run": rig.failures, "conditions": conditions,
             "link": wire.link_report, "rounds": results}, indent=1))
    if rig.failures:
        sys.exit(1)


if __name__ == "__main__":
    main()
