# SPDX-License-Identifier: Apache-2.0
"""Measures Martlet, the floor, tgt and whoever else prints an iscsi:// URL, in turn, with the same load."""

import argparse
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time
from typing import NamedTuple

import report
from servers import Server, ServerError, TgtServer

DEFAULT_MARTLET = pathlib.Path(__file__).resolve().parent.parent / "build" / "bin" / "martlet"
LUN_BYTES = 1 << 30
AREA = "256M"  # of the LUN that is used, the same for all
END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOAD_GRACE_SECONDS = 60  # beyond the time a run should take


class Cell(NamedTuple):
    name: str
    access: str
    block_size: str
    queue_depth: int
    connections: int = 1
    loops: int = 1


CELLS = [
    *(Cell(f"4k-{access}-qd{depth}", access, "4K", depth)
      for access in ("randread", "randwrite") for depth in (1, 8, 32, 128)),
    *(Cell(f"256k-{access}-qd8", access, "256K", 8) for access in ("read", "write")),
    *(Cell(f"4k-{access}-qd32-4conn-2loops", access, "4K", 32, 4, 2) for access in ("randread", "randwrite")),
]


def parse_arguments():
    parser = argparse.ArgumentParser(prog="run.sh", description=__doc__, epilog="Cells: " + ", ".join(
        cell.name for cell in CELLS))
    parser.add_argument("--programs", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("martlet", nargs="?", default=os.environ.get("MARTLET", DEFAULT_MARTLET), type=pathlib.Path,
                        help="the martlet executable (default: $MARTLET, else build/bin/martlet)")
    parser.add_argument("--quick", action="store_true", help="one round of 0.5 seconds: does it run at all?")
    parser.add_argument("--rounds", type=int, help="how often each cell is measured (default 3)")
    parser.add_argument("--seconds", type=float, help="measured time of each run (default 1.5)")
    parser.add_argument("--warmup", type=float, default=0.3, help="before each (default 0.3)")
    parser.add_argument("--only", metavar="PATTERN", help="only cells whose name this regular expression is found in")
    parser.add_argument("--servers", metavar="NAMES", help="only these, separated by commas: floor, martlet, tgt-aio, "
                        "tgt-rdwr, and names given with --peer")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND",
                        help="measure this server too: a command that prints an iscsi:// URL; {loops} is replaced")
    parser.add_argument("--pin", metavar="SERVER:CLIENT", help="CPUs for the servers and for the load generator, "
                        "such as 0:1 or 0,1:2 (default: wherever the kernel puts them)")
    parser.add_argument("--sleep", action="store_true", help="let the load generator sleep while it waits: the server "
                        "then pays for waking it (default: it polls, where it has a CPU to itself)")
    parser.add_argument("--markdown", type=pathlib.Path, metavar="FILE", help="write the tables there, too")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every figure of every run there")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 3)
    arguments.seconds = arguments.seconds or (0.5 if arguments.quick else 1.5)
    arguments.server_cpus = arguments.client_cpus = None
    try:
        if arguments.pin:
            arguments.server_cpus, arguments.client_cpus = (
                {int(cpu) for cpu in part.split(",")} for part in arguments.pin.split(":"))
        arguments.cells = [cell for cell in CELLS if re.search(arguments.only or "", cell.name)]
        arguments.peers = dict(peer.split("=", 1) for peer in arguments.peer)
    except (ValueError, re.error) as error:
        parser.error(f"--pin takes CPUS:CPUS, --peer NAME=COMMAND, --only a regular expression ({error})")
    if not arguments.cells:
        parser.error("no cell matches --only")
    return arguments


class Bench:
    """The servers, and the runs against them."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.servers = {}  # (name, loops) -> Server
        self.failures = []

    def wanted(self, name):
        chosen = self.arguments.servers
        return chosen is None or name in chosen.split(",")

    def add(self, server, loops):
        """Starts a server, writes the whole area once so that all its memory is there, and lets it rest."""
        if not self.wanted(server.name):
            return
        for count in loops:
            self.servers[server.name, count] = server
        try:
            server.start()
            self.load(server, ["--rw", "write", "--block-size", "256K", "--queue-depth", "8", "--fill",
                               "--seconds", "0.05", "--warmup", "0"], 0)
            server.pause()
        except ServerError as error:
            server.stop()
            for count in loops:
                del self.servers[server.name, count]
            self.failures.append(str(error))
            print(f"left out: {error}", file=sys.stderr)

    def start_servers(self):
        arguments, cpus = self.arguments, self.arguments.server_cpus
        loop_counts = sorted({cell.loops for cell in arguments.cells})
        for loops in loop_counts:
            floor = [arguments.programs / "floor", "--size", str(LUN_BYTES), "--loops", str(loops)]
            self.add(Server("floor", floor, cpus), [loops])
        if not self.wanted("martlet"):
            pass
        elif not os.access(arguments.martlet, os.X_OK):
            print(f"{arguments.martlet} is not there: build it first, or name it. Martlet is left out.",
                  file=sys.stderr)
        else:
            for loops in loop_counts:
                command = [arguments.martlet, "serve", "--portal", "127.0.0.1:0", "--loops", str(loops), "ram/1G"]
                self.add(Server("martlet", command, cpus), [loops])
        for name, command in arguments.peers.items():
            for loops in loop_counts if "{loops}" in command else [None]:
                words = shlex.split(command.replace("{loops}", str(loops)))
                self.add(Server(name, words, cpus), loop_counts if loops is None else [loops])
        self.start_tgt(loop_counts, cpus)

    def start_tgt(self, loop_counts, cpus):
        """tgt has one loop, whatever is asked for: the same daemon serves all cells."""
        stores = [store for store in ("aio", "rdwr") if self.wanted(f"tgt-{store}")]
        reason = TgtServer.reason_it_cannot_run()
        if stores and reason:
            print(reason, file=sys.stderr)
            return
        for store in stores:
            self.add(TgtServer(f"tgt-{store}", store, LUN_BYTES, cpus), loop_counts)

    def stop_servers(self):
        for server in set(self.servers.values()):
            server.stop()

    def load(self, server, options, seconds):
        """One run of the load generator; what it printed. Raises ServerError when it failed."""
        command = [self.arguments.programs / "load", "--url", server.url, "--size", AREA,
                   "--server-pid", str(server.process.pid), *options]
        cpus = self.arguments.client_cpus
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

    def measure(self, server, cell):
        arguments = self.arguments
        # With no CPU left for it, a polling generator would take the server's.
        polls = not arguments.sleep and cell.loops < os.cpu_count()
        server.resume()
        try:
            return self.load(server, [
                "--rw", cell.access, "--block-size", cell.block_size, "--queue-depth", str(cell.queue_depth),
                "--connections", str(cell.connections), "--seconds", str(arguments.seconds),
                "--warmup", str(arguments.warmup), *(["--poll"] if polls else [])],
                arguments.seconds + arguments.warmup)
        except ServerError as error:
            self.failures.append(f"{cell.name}: {error}")
            print(f"{cell.name}: {error}", file=sys.stderr)
            return None
        finally:
            server.pause()

    def run(self):
        """{cell: {server: [result of each round]}}. Within a round the servers follow each other directly."""
        names = list(dict.fromkeys(name for name, _ in self.servers))
        results = {cell.name: {name: [] for name in names} for cell in self.arguments.cells}
        for number in range(self.arguments.rounds):
            shift = number % len(names)
            for cell in self.arguments.cells:
                for name in names[shift:] + names[:shift]:  # nobody is always first
                    server = self.servers.get((name, cell.loops))
                    result = self.measure(server, cell) if server else None
                    results[cell.name][name].append(result)
                    if result:
                        print(f"round {number + 1}  {cell.name:28} {name:10} {result['iops']:>9.0f} IOPS "
                              f"{result['server_cpu_us_per_command']:>9.2f} µs", file=sys.stderr, flush=True)
        return results, names


def end_on_signal(number, _frame):
    sys.exit(128 + number)


def main():
    arguments = parse_arguments()
    for number in END_SIGNALS:
        signal.signal(number, end_on_signal)
    bench = Bench(arguments)
    try:
        bench.start_servers()
        if not bench.servers:
            sys.exit("there is no server to measure")
        results, names = bench.run()
    finally:
        for number in END_SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave servers behind
        bench.stop_servers()

    where = f" servers on CPUs and load on CPUs {arguments.pin}," if arguments.pin else ""
    conditions = (f"{time.strftime('%Y-%m-%d')}, {report.machine()},{where} {arguments.rounds} rounds of "
                  f"{arguments.seconds:g} s, {AREA} of a 1G LUN in memory, over loopback; queue depth is that of "
                  f"each connection; the initiator {'sleeps' if arguments.sleep else 'polls'} while it waits.")
    summary = report.summarize(results, names)
    tables = report.markdown(summary, names, conditions)
    print(tables)
    if arguments.markdown:
        arguments.markdown.write_text(tables)
    if arguments.json:
        arguments.json.write_text(json.dumps(
            {"conditions": conditions, "summary": summary, "rounds": results, "failures": bench.failures}, indent=1))
    if bench.failures:
        sys.exit(1)


if __name__ == "__main__":
    main()
