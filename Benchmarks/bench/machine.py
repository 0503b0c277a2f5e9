# SPDX-License-Identifier: Apache-2.0
"""Where and how this was measured."""

import os
import pathlib
import platform
import subprocess
import time
from typing import Any

from .cells import AREA
from .options import Options


def _first_line(path: str, key: str) -> str:
    try:
        lines = pathlib.Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")


def _version(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return "none"
    lines = done.stdout.splitlines() or done.stderr.splitlines()
    return lines[0].strip() if lines else "none"


def conditions(options: Options) -> dict[str, Any]:
    where = f", servers on CPUs {sorted(options.server_cpus or [])}, load on {sorted(options.client_cpus or [])}"
    memory_kib = int((_first_line("/proc/meminfo", "MemTotal") or "0").split()[0])
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} CPUs ({_first_line('/proc/cpuinfo', 'model name') or platform.machine()}), "
                   f"{memory_kib / (1 << 20):.0f} GiB, Linux {platform.release()}",
        "programs": {"swift": _version("swift", "--version"), "cc": _version("cc", "--version")},
        "run": f"{options.rounds} round{'s' if options.rounds > 1 else ''} of {options.seconds:g} s, {AREA} of a LUN "
               f"of 1 GiB in memory, over loopback; "
               f"the initiator {'sleeps' if options.sleeps else 'polls'} while it waits"
               f"{where if options.server_cpus else ''}",
        "is_quick": options.is_quick,
        "parts": list(options.parts),
        "load_average_at_start": os.getloadavg()[0],
    }
