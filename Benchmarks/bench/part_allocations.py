# SPDX-License-Identifier: Apache-2.0
"""Heap allocations per command: of a short run and of a long one, so that logging in and warming up cancel out."""

import os
import pathlib
import struct
import tempfile
from typing import Any

from .cells import Cell, large, small
from .load import fill, run_load
from .options import Options
from .part_cells import POLLERS, martlet_server
from .servers import Server, ServerError

SECONDS, QUICK_SECONDS = 0.5, 0.15  # of the short run; the long one has twice as much
FEWEST_COMMANDS = 50  # that the long run must have had more, or the difference says nothing
LOADS = [Cell(small("randread", 32), "randread", "4k", 32), Cell(small("randwrite", 32), "randwrite", "4k", 32),
         Cell(large("1m", "read", 8), "read", "1m", 8), Cell(large("1m", "write", 8), "write", "1m", 8)]


def _allocations(counts: pathlib.Path) -> int:
    return struct.unpack("QQ", counts.read_bytes())[0]


def _run(options: Options, server: Server, counts: pathlib.Path, cell: Cell, seconds: float) -> tuple[int, int]:
    """Allocations and commands of one run."""
    before = _allocations(counts)
    figures = run_load(options, server, [
        "--rw", cell.access, "--block-size", str(cell.byte_count), "--queue-depth", str(cell.queue_depth),
        "--seconds", str(seconds), "--warmup", "0"], seconds)
    return _allocations(counts) - before, figures["commands"]


def _measure_server(options: Options, server: Server, counts: pathlib.Path) -> list[dict[str, Any]]:
    seconds = QUICK_SECONDS if options.is_quick else SECONDS
    server.start()
    fill(options, server)
    entries = []
    for cell in LOADS:
        _run(options, server, counts, cell, seconds / 2)  # pools grow to what this load needs
        short = _run(options, server, counts, cell, seconds)
        long = _run(options, server, counts, cell, 2 * seconds)
        commands, more = long[1] - short[1], long[0] - short[0]
        entry: dict[str, Any] = {"load": cell.name, "server": server.name,
                                 "note": f"{more} more for {commands} more commands"}
        if commands >= FEWEST_COMMANDS:
            entry["per_command"] = max(0, more) / commands
        entries.append(entry)
    return entries


def measure(options: Options) -> dict[str, Any]:
    entries: list[dict[str, Any]] = []
    not_run = []
    with tempfile.TemporaryDirectory(prefix="martlet-bench-") as folder:
        for suffix in POLLERS:
            if not options.wants(f"martlet-{suffix}"):
                continue
            counts = pathlib.Path(folder) / suffix
            counts.write_bytes(bytes(16))
            environment = {"LD_PRELOAD": os.fspath(options.programs / "count_allocations.so"),
                           "COUNT_ALLOCATIONS": os.fspath(counts)}
            server = martlet_server(options, suffix, 1, environment=environment)
            try:
                entries += _measure_server(options, server, counts)
            except ServerError as error:
                not_run.append(str(error))
            finally:
                server.stop()
    return {"entries": entries, "not_run": not_run}
