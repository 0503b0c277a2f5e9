# SPDX-License-Identifier: Apache-2.0
"""System calls and sleeps per command.

`perf` counts the calls without slowing the server down, but not by name. `strace` tells their names and slows every
one of them down, so that more commands meet in each: its shares are taken and its total is not, where perf is there.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
from typing import Any

from .cells import CELLS, Cell, small
from .load import fill, run_cell
from .options import Options
from .part_cells import POLLERS, floor_server, martlet_server
from .servers import Server, ServerError

SECONDS, QUICK_SECONDS = 0.6, 0.15
ATTACH_SECONDS = 0.3
LOADS = [cell for cell in CELLS for access in ("randread", "randwrite") for depth in (1, 32, 128)
         if cell.name == small(access, depth)]
QUICK_LOADS = LOADS[1:2]


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    process.wait(10)


def _perf_count(options: Options, server: Server, cell: Cell, seconds: float) -> dict[str, Any] | None:
    """Calls and commands of a whole run, by perf. None when perf is not there or may not."""
    if not shutil.which("perf"):
        return None
    with tempfile.NamedTemporaryFile(prefix="martlet-bench-") as out:
        counter = subprocess.Popen(
            ["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-o", out.name, "-p", str(server.process.pid)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(ATTACH_SECONDS)
        if counter.poll() is not None:
            return None
        # No warm-up: the commands of the load must be those of the count. Login is a dozen calls.
        figures = run_cell(options, server, cell, seconds)
        _stop(counter)
        found = re.search(r"^(\d+),", pathlib.Path(out.name).read_text(), re.MULTILINE)
    if not found:
        return None
    return {"calls_per_command": int(found.group(1)) / max(1, figures["commands"]),
            "switches_per_command": figures["server_switches_per_command"]}


def _strace_count(options: Options, server: Server, cell: Cell, seconds: float) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile(prefix="martlet-bench-") as out:
        tracer = subprocess.Popen(["strace", "-c", "-f", "-U", "calls,name", "-o", out.name, "-p",
                                   str(server.process.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(ATTACH_SECONDS)
        if tracer.poll() is not None:
            return {}
        figures = run_cell(options, server, cell, seconds)
        _stop(tracer)
        counts = {name: int(count) for count, name in re.findall(
            r"^ *(\d+) +([a-z]\w*)$", pathlib.Path(out.name).read_text(), re.MULTILINE) if name != "total"}
    commands = max(1, figures["commands"])
    return {"by_name": {name: count / commands for name, count in counts.items()},
            "calls_per_command": sum(counts.values()) / commands,
            "switches_per_command": figures["server_switches_per_command"]}


def _describe(by_name: dict[str, float]) -> str:
    total = sum(by_name.values()) or 1
    shares = sorted(by_name.items(), key=lambda entry: -entry[1])
    return ", ".join(f"{name} {100 * count / total:.0f} %" for name, count in shares if count / total >= 0.01)


def _measure_server(options: Options, server: Server, cells: list[Cell]) -> list[dict[str, Any]]:
    seconds = QUICK_SECONDS if options.is_quick else SECONDS
    entries = []
    server.start()
    fill(options, server)
    for cell in cells:
        counted = _perf_count(options, server, cell, seconds)
        traced = _strace_count(options, server, cell, seconds) if shutil.which("strace") else {}
        if not counted and not traced:
            raise ServerError("neither perf nor strace can count system calls here")
        entries.append({"load": cell.name, "server": server.name, **(counted or traced),
                        "counted_by": "perf" if counted else "strace", "names": _describe(traced.get("by_name", {}))})
    return entries


def measure(options: Options) -> dict[str, Any]:
    entries: list[dict[str, Any]] = []
    not_run = []
    quiet = Options(**{**vars(options), "warmup": 0.0})
    for suffix in POLLERS:
        for make in (floor_server, martlet_server):
            server = make(options, suffix, 1)
            if not options.wants(server.name):
                continue
            try:
                entries += _measure_server(quiet, server, QUICK_LOADS if options.is_quick else LOADS)
            except ServerError as error:
                not_run.append(str(error))
            finally:
                server.stop()
    if os.geteuid() != 0 and not entries:
        not_run.append("counting system calls of another process may need root")
    return {"entries": entries, "not_run": not_run}
