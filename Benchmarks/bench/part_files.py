# SPDX-License-Identifier: Apache-2.0
"""The aio and uring handlers on a file with O_DIRECT, beside fio doing the same I/O on the same file directly."""

import json
import os
import pathlib
import shutil
import statistics
import subprocess
from typing import Any

from .cells import Cell, small
from .load import run_cell
from .options import Options
from .servers import Server, ServerError

FILE_BYTES = 256 << 20
ENGINES = {"aio": "libaio", "uring": "io_uring"}  # our handler, and fio's engine
CELLS = [Cell(small(access, 32), access, "4k", 32) for access in ("randread", "randwrite")]
START_BYTES = 1 << 20
LIMIT_SECONDS = 60


def _fio(file: pathlib.Path, engine: str, cell: Cell, options: Options) -> float:
    """IOPS. Raises ServerError when fio fails."""
    command = ["fio", "--name=bench", f"--filename={file}", f"--ioengine={engine}", "--direct=1", f"--rw={cell.access}",
               f"--bs={cell.byte_count}", f"--iodepth={cell.queue_depth}", f"--size={FILE_BYTES}", "--time_based",
               f"--runtime={max(1, round(options.seconds))}", f"--ramp_time={1 if options.warmup >= 0.5 else 0}",
               "--output-format=json", "--randrepeat=0", "--norandommap", "--thread"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS)
    if done.returncode != 0:
        raise ServerError(f"fio --ioengine={engine}: {(done.stderr or done.stdout).strip()[-300:]}")
    side = "read" if cell.access == "randread" else "write"
    return json.loads(done.stdout[done.stdout.index("{"):])["jobs"][0][side]["iops"]


def _write_file(file: pathlib.Path) -> None:
    """Every block is there before anything is measured: no file system has to find room for it then."""
    with open(file, "wb") as out:
        for _ in range(FILE_BYTES // START_BYTES):
            out.write(os.urandom(START_BYTES))
        out.flush()
        os.fsync(out.fileno())


def _rounds(options: Options, server: Server, engine: str, file: pathlib.Path, cell: Cell) -> dict[str, Any]:
    ratios, ours, theirs = [], [], []
    for number in range(options.rounds):
        def run_fio() -> float:
            server.pause()
            try:
                return _fio(file, engine, cell, options)
            finally:
                server.resume()
        first = run_fio() if number % 2 == 0 else None
        served = run_cell(options, server, cell)["iops"]
        direct = first if first is not None else run_fio()
        ours.append(served)
        theirs.append(direct)
        ratios.append(served / direct if direct else 0)
    return {"load": cell.name, "server": server.name, "ratio": statistics.median(ratios),
            "iops": statistics.median(ours), "fio_iops": statistics.median(theirs),
            "note": f"{min(ratios):.2f} to {max(ratios):.2f}; fio: {statistics.median(theirs) / 1000:.1f}k IOPS"}


def measure(options: Options) -> dict[str, Any]:
    if not shutil.which("fio"):
        return {"not_run": ["fio is not installed (apt-get install fio)"]}
    file = options.file or options.programs / "direct.img"
    if file.exists() and options.file:
        return {"not_run": [f"{file} exists already, and would be overwritten"]}
    entries, not_run = [], []
    try:
        _write_file(file)
        for handler, engine in ENGINES.items():
            server = Server(f"martlet {handler}", [options.martlet, "serve", "--portal", "127.0.0.1:0", "--loops", "1",
                                                   f"{handler}/{file.resolve()}"], options.server_cpus)
            try:
                server.start()
                entries += [_rounds(options, server, engine, file, cell) for cell in CELLS]
            except ServerError as error:
                not_run.append(str(error))
            finally:
                server.stop()
    except (OSError, subprocess.TimeoutExpired) as error:
        not_run.append(str(error))
    finally:
        file.unlink(missing_ok=True)
    return {"entries": entries, "not_run": not_run}
