# SPDX-License-Identifier: Apache-2.0
"""One run of the load generator against a server."""

import json
import os
import subprocess
from typing import Any

from .cells import AREA, Cell
from .options import Options
from .servers import Server, ServerError

GRACE_SECONDS = 60  # beyond the time a run should take

Figures = dict[str, Any]  # the line of JSON that the generator prints


def run_load(options: Options, server: Server, arguments: list[str], seconds: float) -> Figures:
    """What it printed. Raises ServerError when it failed."""
    command = [str(options.programs / "load"), "--url", server.url, "--size", AREA,
               "--server-pid", str(server.process.pid), *arguments]
    cpus = options.client_cpus
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + GRACE_SECONDS,
                              preexec_fn=(lambda: os.sched_setaffinity(0, cpus)) if cpus else None)
    except subprocess.TimeoutExpired as error:
        raise ServerError(f"{server.name} does not come to an end") from error
    if done.returncode != 0:
        server.check()
        raise ServerError(f"{server.name}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def fill(options: Options, server: Server) -> None:
    """Writes the whole area once, so that all its memory is there."""
    run_load(options, server, ["--rw", "write", "--block-size", "256K", "--queue-depth", "8", "--fill",
                               "--seconds", "0.02", "--warmup", "0"], 0)


def run_cell(options: Options, server: Server, cell: Cell, seconds: float | None = None) -> Figures:
    """With no CPU left for it, a polling generator would take the server's."""
    polls = not options.sleeps and not cell.sleeps and cell.loops < (os.cpu_count() or 1)
    measured = options.seconds if seconds is None else seconds
    return run_load(options, server, [
        "--rw", cell.access, "--block-size", str(cell.byte_count), "--queue-depth", str(cell.queue_depth),
        "--connections", str(cell.connections), "--seconds", str(measured), "--warmup", str(options.warmup),
        *(["--poll"] if polls else [])], measured + options.warmup)
