# SPDX-License-Identifier: Apache-2.0
"""Where Martlet's processor time goes, by function: what stands behind a mark that is not met."""

import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
from typing import Any

from .cells import CELLS, Cell, large, small
from .load import fill, run_cell
from .options import Options
from .part_cells import POLLERS, martlet_server
from .servers import Server, ServerError

SECONDS, QUICK_SECONDS = 1.5, 0.4
START_SECONDS = 0.5
SAMPLES_PER_SECOND = 4999
LEAST_PERCENT = 1.5
MOST_FUNCTIONS = 16
LIMIT_SECONDS = 60
LOADS = [cell for name in (small("randread", 32), small("randwrite", 32), large("1m", "read", 8))
         for cell in CELLS if cell.name == name]


def _readable(names: list[str]) -> list[str]:
    """Swift's names as their authors wrote them, where there is a toolchain."""
    if not names or not shutil.which("swift"):
        return names
    done = subprocess.run(["swift", "demangle", "--simplified", "--compact"], input="\n".join(names), text=True,
                          capture_output=True, check=False, timeout=LIMIT_SECONDS)
    lines = done.stdout.splitlines()
    return lines if done.returncode == 0 and len(lines) == len(names) else names


def _profile(options: Options, server: Server, cell: Cell) -> dict[str, Any]:
    seconds = QUICK_SECONDS if options.is_quick else SECONDS
    with tempfile.TemporaryDirectory(prefix="martlet-bench-") as folder:
        data = pathlib.Path(folder) / "perf.data"
        recorder = subprocess.Popen(
            ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(SAMPLES_PER_SECOND), "-o", data, "-p",
             str(server.process.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(START_SECONDS)
        run_cell(options, server, cell, seconds)
        recorder.send_signal(signal.SIGINT)
        _, said = recorder.communicate(timeout=LIMIT_SECONDS)
        report = subprocess.run(["perf", "report", "--stdio", "-q", "-i", data, "--sort", "symbol"],
                                capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS)
    rows = re.findall(r"^ *([\d.]+)% +\[([k.])\] +(.+?)(?:  .*)?$", report.stdout, re.MULTILINE)
    if not rows:
        raise ServerError(f"perf record: {(said or report.stderr).strip()[-300:]}")
    shown = [row for row in rows if float(row[0]) >= LEAST_PERCENT][:MOST_FUNCTIONS]
    names = _readable([name for _, _, name in shown])
    return {
        "load": cell.name, "server": server.name,
        "kernel_percent": sum(float(percent) for percent, where, _ in rows if where == "k"),
        "functions": [{"percent": float(percent), "where": "kernel" if where == "k" else "server", "name": name}
                      for (percent, where, _), name in zip(shown, names)],
    }


def measure(options: Options) -> dict[str, Any]:
    if not shutil.which("perf"):
        return {"not_run": ["perf is not installed (apt-get install linux-perf)"]}
    entries, not_run = [], []
    for suffix in POLLERS:
        server = martlet_server(options, suffix, 1)
        if not options.wants(server.name):
            continue
        try:
            server.start()
            fill(options, server)
            entries += [_profile(options, server, cell) for cell in (LOADS[:1] if options.is_quick else LOADS)]
        except (ServerError, subprocess.TimeoutExpired) as error:
            not_run.append(str(error))
        finally:
            server.stop()
    return {"entries": entries, "not_run": not_run}
