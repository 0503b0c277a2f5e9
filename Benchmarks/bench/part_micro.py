# SPDX-License-Identifier: Apache-2.0
"""The microbenchmarks: times, and instructions by callgrind, which do not change from run to run."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
from typing import Any

from .options import BENCHMARKS, ROOT, Options

BUILD_SECONDS = 1800
RUN_SECONDS = 300
COUNT, QUICK_COUNT = 1_000_000, 50_000
PACKAGE = BENCHMARKS / "micro"


class MicroError(Exception):
    """Why there are no microbenchmarks, in words."""


def _run(command: list[Any], seconds: float, folder: str | None = None) -> str:
    words = [os.fspath(word) if isinstance(word, pathlib.Path) else str(word) for word in command]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=seconds, cwd=folder)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MicroError(str(error)) from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-5:]
        raise MicroError(f"{words[0]} ended with status {done.returncode}: {' '.join(said)}")
    return done.stdout


def _build(options: Options) -> tuple[pathlib.Path, pathlib.Path]:
    """The program, and the folder with its handlers."""
    build = options.programs / "micro"
    handlers = build / "handlers"
    handlers.mkdir(parents=True, exist_ok=True)
    include = options.martlet.resolve().parent.parent / "include"
    if not include.exists():
        include = ROOT / "Sources" / "HandlerABI" / "include"
    for threads in (0, 1):
        _run([os.environ.get("CC", "cc"), "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
              f"-DTHREADS={threads}", "-I", include, "-o", handlers / f"handler_micro{threads}.so",
              PACKAGE / "handler_micro.c"], BUILD_SECONDS)
    swift = ["swift", "build", "--configuration", "release", "--package-path", PACKAGE, "--scratch-path",
             build / "swift"]
    _run([*swift, "--product", "micro"], BUILD_SECONDS)
    return pathlib.Path(_run([*swift, "--show-bin-path"], BUILD_SECONDS).strip()) / "micro", handlers


def _instructions(program: pathlib.Path, handlers: pathlib.Path) -> dict[str, float]:
    """Instructions of one run of each body."""
    with tempfile.TemporaryDirectory(prefix="martlet-bench-") as folder:
        # Valgrind cannot read all that Swift's compiler writes for debuggers, and does not need it.
        stripped = pathlib.Path(folder) / "micro"
        _run(["strip", "--strip-debug", "-o", stripped, program], RUN_SECONDS)
        out = _run(["valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=counts", stripped,
                    handlers.resolve()], RUN_SECONDS, folder)
        entries = json.loads(out)
        found = {}
        for dump in pathlib.Path(folder).glob("counts*"):
            text = dump.read_text()
            name = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.MULTILINE)
            total = re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)
            if name and total and entries.get(name.group(1), {}).get("counted"):
                found[name.group(1)] = int(total.group(1)) / entries[name.group(1)]["counted"]
    return found


def measure(options: Options) -> dict[str, Any]:
    try:
        program, handlers = _build(options)
        count = QUICK_COUNT if options.is_quick else COUNT
        entries = json.loads(_run([program, handlers, count], RUN_SECONDS))
    except MicroError as error:
        return {"not_run": [str(error)]}
    if not shutil.which("valgrind"):
        return {"entries": entries, "not_run": ["valgrind is not installed: instructions are not counted"]}
    try:
        for name, instructions in _instructions(program, handlers).items():
            entries[name]["instructions"] = instructions
    except MicroError as error:
        return {"entries": entries, "not_run": [str(error)]}
    return {"entries": entries}
