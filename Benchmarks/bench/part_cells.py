# SPDX-License-Identifier: Apache-2.0
"""All cells on all servers, interleaved."""

import os
import shlex
import sys
from typing import Any

from .cells import LUN_BYTES, Cell
from .load import Figures, fill, run_cell
from .options import Options
from .servers import Server, ServerError, TgtServer

POLLERS = {"epoll": "epoll", "uring": "io_uring"}  # the end of a server's name, and what the program calls it


def floor_server(options: Options, suffix: str, loops: int) -> Server:
    return Server(f"floor-{suffix}", [
        options.programs / "floor", "--size", str(LUN_BYTES), "--loops", str(loops), "--poller", POLLERS[suffix]],
        options.server_cpus)


def martlet_server(options: Options, suffix: str, loops: int, lun: str = "ram/1G",
                   environment: dict[str, str] | None = None) -> Server:
    """On this poller and no other: one that falls back to epoll is not measured as something else."""
    return Server(f"martlet-{suffix}", [
        options.martlet, "serve", "--portal", "127.0.0.1:0", "--loops", str(loops), "--poller", POLLERS[suffix], lun],
        options.server_cpus, environment, "io_uring is not used" if suffix == "uring" else "")


class CellRuns:
    """The servers, and the runs against them."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.servers: dict[tuple[str, int], Server] = {}  # by name and number of loops
        self.not_run: dict[str, str] = {}
        self.failures: list[str] = []

    def _add(self, server: Server, loop_counts: list[int]) -> None:
        """Starts a server, and lets it rest. One that does not start is left out, and the reason kept."""
        try:
            server.start()
            fill(self.options, server)
            server.pause()
        except ServerError as error:
            server.stop()
            self.not_run[server.name] = str(error)
            print(f"not run: {error}", file=sys.stderr)
            return
        for count in loop_counts:
            self.servers[server.name, count] = server

    def start(self) -> None:
        options, cpus = self.options, self.options.server_cpus
        loop_counts = sorted({cell.loops for cell in options.cells})
        for suffix in POLLERS:
            for make in (floor_server, martlet_server):
                for loops in loop_counts:
                    server = make(options, suffix, loops)
                    if options.wants(server.name) and server.name not in self.not_run:
                        self._add(server, [loops])
        for name, command in options.peers.items():
            for loops in loop_counts if "{loops}" in command else [0]:
                words = shlex.split(command.replace("{loops}", str(loops)))
                self._add(Server(name, words, cpus), [loops] if loops else loop_counts)
        reason = TgtServer.reason_it_cannot_run()
        for store in ("aio", "rdwr"):
            if not options.wants(f"tgt-{store}"):
                continue
            if reason:
                self.not_run[f"tgt-{store}"] = reason
            else:  # it has one loop, whatever is asked for: the same daemon serves all cells
                self._add(TgtServer(f"tgt-{store}", store, LUN_BYTES, cpus), loop_counts)

    def stop(self) -> None:
        for server in set(self.servers.values()):
            server.stop()

    def _measure(self, server: Server, cell: Cell) -> Figures | None:
        server.resume()
        try:
            return run_cell(self.options, server, cell)
        except ServerError as error:
            self.failures.append(f"{cell.name}: {error}")
            print(f"{cell.name}: {error}", file=sys.stderr)
            return None
        finally:
            server.pause()

    def run(self) -> dict[str, dict[str, list[Figures | None]]]:
        """{cell: {server: [result of each round]}}. Within a round the servers follow each other directly."""
        names = list(dict.fromkeys(name for name, _ in self.servers))
        results: dict[str, dict[str, list[Figures | None]]] = {
            cell.name: {name: [] for name in names} for cell in self.options.cells}
        for number in range(self.options.rounds):
            shift = number % len(names)
            for cell in self.options.cells:
                for name in names[shift:] + names[:shift]:  # nobody is always first
                    server = self.servers.get((name, cell.loops))
                    result = self._measure(server, cell) if server else None
                    results[cell.name][name].append(result)
                    if result:
                        print(f"round {number + 1}  {cell.name:28} {name:13} {result['iops']:>9.0f} IOPS "
                              f"{result['server_cpu_us_per_command']:>9.2f} µs", file=sys.stderr, flush=True)
        return results


def measure(options: Options) -> dict[str, Any]:
    if not os.access(options.martlet, os.X_OK):
        print(f"{options.martlet} is not there: build it first, or name it.", file=sys.stderr)
    runs = CellRuns(options)
    try:
        runs.start()
        rounds = runs.run() if runs.servers else {}
    finally:
        runs.stop()
    return {"rounds": rounds, "not_run": runs.not_run, "failures": runs.failures}
