# SPDX-License-Identifier: Apache-2.0
"""What a server costs that has many sessions and nothing to do."""

import subprocess
import time
from typing import Any

from .options import Options
from .part_cells import POLLERS, martlet_server
from .servers import Server, ServerError

SESSIONS = 100
SETTLE_SECONDS, SECONDS = 2.0, 8.0
QUICK_SETTLE_SECONDS, QUICK_SECONDS = 0.3, 1.0
CLOCK_OF_PROCESS = 2  # CPUCLOCK_SCHED: nanoseconds of all its threads
READY_SECONDS = 30


def cpu_seconds(pid: int) -> float:
    """User plus system time of a process so far."""
    return time.clock_gettime((~pid << 3) | CLOCK_OF_PROCESS)


def _measure_one(options: Options, server: Server) -> dict[str, Any]:
    settle, seconds = (QUICK_SETTLE_SECONDS, QUICK_SECONDS) if options.is_quick else (SETTLE_SECONDS, SECONDS)
    server.start()
    with subprocess.Popen([options.programs / "idle_sessions", server.url, str(SESSIONS)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as sessions:
        assert sessions.stdin and sessions.stdout and sessions.stderr
        if sessions.stdout.readline().strip() != "ready":
            raise ServerError(sessions.stderr.read().strip())
        time.sleep(settle)
        cpu, begin = cpu_seconds(server.process.pid), time.monotonic()
        time.sleep(seconds)
        cpu, elapsed = cpu_seconds(server.process.pid) - cpu, time.monotonic() - begin
        if sessions.poll() is not None:
            raise ServerError(f"the sessions ended: {sessions.stderr.read().strip()}")
        sessions.stdin.close()
    return {"load": f"{SESSIONS} sessions", "server": server.name, "percent": 100 * cpu / elapsed,
            "note": f"{1e3 * cpu:.2f} ms in {elapsed:.1f} s"}


def measure(options: Options) -> dict[str, Any]:
    entries, not_run = [], []
    for suffix in POLLERS:
        if not options.wants(f"martlet-{suffix}"):
            continue
        server = martlet_server(options, suffix, 1, "ram/64M")
        try:
            entries.append(_measure_one(options, server))
        except ServerError as error:
            not_run.append(str(error))
        finally:
            server.stop()
    return {"entries": entries, "not_run": not_run}
