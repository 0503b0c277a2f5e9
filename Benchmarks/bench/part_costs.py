# SPDX-License-Identifier: Apache-2.0
"""What this machine asks for a system call, a wake-up, a copy, a send and a receive."""

import json
import subprocess
from typing import Any

from .options import Options

ROUNDS, QUICK_ROUNDS = 4000, 500
LIMIT_SECONDS = 120


def measure(options: Options) -> dict[str, Any]:
    rounds = QUICK_ROUNDS if options.is_quick else ROUNDS
    try:
        done = subprocess.run([options.programs / "costs", str(rounds)], capture_output=True, text=True, check=False,
                              timeout=LIMIT_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"not_run": [str(error)]}
    return json.loads(done.stdout) if done.returncode == 0 else {"not_run": [done.stderr.strip()]}
