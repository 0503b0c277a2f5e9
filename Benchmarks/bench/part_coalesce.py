# SPDX-License-Identifier: Apache-2.0
"""The adaptive coalescer over a shaped link: a program of its own, Benchmarks/coalesce.py.

It is given --programs, --martlet, --json FILE and, for a short run, --quick, and writes {"marks": [{"name", "load",
"measured", "note", "bound", "verdict"}, ...], "markdown": "...", "not_run": ["reason", ...]}, texts all of them.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

from .options import BENCHMARKS, Options

LIMIT_SECONDS = 600


def measure(options: Options) -> dict[str, Any]:
    program = BENCHMARKS / "coalesce.py"
    if not program.exists():
        return {"not_run": ["there is no program coalesce.py"]}
    with tempfile.TemporaryDirectory(prefix="martlet-bench-") as folder:
        out = pathlib.Path(folder) / "coalesce.json"
        command = [sys.executable, "-B", str(program), "--programs", str(options.programs),
                   "--martlet", str(options.martlet), "--json", str(out), *(["--quick"] if options.is_quick else [])]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            return {"not_run": [f"coalesce.py was not done within {LIMIT_SECONDS} s"]}
        if done.returncode != 0 or not out.exists():
            return {"not_run": [done.stderr.strip()[-400:] or f"coalesce.py ended with status {done.returncode}"]}
        return json.loads(out.read_text())
