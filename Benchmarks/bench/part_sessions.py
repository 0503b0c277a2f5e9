# SPDX-License-Identifier: Apache-2.0
"""What a thousand sessions cost that do nothing, and whether logins leave anything behind."""

import pathlib
import subprocess
import time
from typing import Any

from .options import Options
from .part_cells import POLLERS, martlet_server
from .part_idle import cpu_seconds
from .servers import Server, ServerError

SESSIONS, QUICK_SESSIONS = 1000, 200
CYCLES, QUICK_CYCLES = 10_000, 500
CYCLES_AT_ONCE = 10
SETTLE_SECONDS, SECONDS = 2.0, 8.0
QUICK_SETTLE_SECONDS, QUICK_SECONDS = 0.5, 1.0


def resident_bytes(pid: int) -> int:
    """Of the process's own memory: what it shares with files of programs is left out."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise ServerError(f"/proc/{pid}/status has no RssAnon")


class Program:
    """idle_sessions, and what it says."""

    def __init__(self, options: Options, *arguments: str) -> None:
        self._process = subprocess.Popen([options.programs / "idle_sessions", *arguments], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait_for(self, word: str) -> None:
        assert self._process.stdout and self._process.stderr
        if self._process.stdout.readline().strip() != word:
            raise ServerError(self._process.stderr.read().strip())

    def go_on(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_unused: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def _idle(options: Options, server: Server) -> dict[str, Any]:
    settle, seconds = (QUICK_SETTLE_SECONDS, QUICK_SECONDS) if options.is_quick else (SETTLE_SECONDS, SECONDS)
    sessions = QUICK_SESSIONS if options.is_quick else SESSIONS
    before = resident_bytes(server.process.pid)
    with Program(options, server.url, str(sessions)) as program:
        program.wait_for("ready")
        time.sleep(settle)
        memory = (resident_bytes(server.process.pid) - before) / sessions / 1024
        cpu, begin = cpu_seconds(server.process.pid), time.monotonic()
        time.sleep(seconds)
        cpu, elapsed = cpu_seconds(server.process.pid) - cpu, time.monotonic() - begin
    return {"load": f"{sessions} sessions", "kib": memory, "percent": 100 * cpu / elapsed}


def _cycles(options: Options, server: Server) -> dict[str, Any]:
    cycles = QUICK_CYCLES if options.is_quick else CYCLES
    with Program(options, server.url, str(CYCLES_AT_ONCE), str(cycles)) as program:
        program.wait_for("ready")
        before, cpu, begin = resident_bytes(server.process.pid), cpu_seconds(server.process.pid), time.monotonic()
        program.go_on()
        program.wait_for("done")
        elapsed, cpu = time.monotonic() - begin, cpu_seconds(server.process.pid) - cpu
        growth = (resident_bytes(server.process.pid) - before) / 1024
    measured = cycles - cycles // 10
    return {"growth_kib": growth,
            "note": f"{measured} logins and logouts: {1e3 * cpu / measured:.2f} ms of server CPU each, "
                    f"{measured / elapsed:.0f} a second"}


def measure(options: Options) -> dict[str, Any]:
    entries, not_run = [], []
    for suffix in POLLERS:
        if not options.wants(f"martlet-{suffix}"):
            continue
        server = martlet_server(options, suffix, 1, "ram/64M")
        try:
            server.start()
            entries.append({"server": server.name} | _idle(options, server) | _cycles(options, server))
        except ServerError as error:
            not_run.append(str(error))
        finally:
            server.stop()
    return {"entries": entries, "not_run": not_run}
