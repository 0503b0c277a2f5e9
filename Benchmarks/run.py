# SPDX-License-Identifier: Apache-2.0
"""Measures what was asked for, prints the tables and the marks, keeps the figures and writes the document."""

import json
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from bench import document, machine, options, part_allocations, part_calls, part_cells, part_coalesce, part_costs
from bench import part_files, part_idle, part_micro, part_profile, part_sessions, tables
from bench.results import Results

END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

MEASURES: dict[str, Callable[[options.Options], dict[str, Any]]] = {
    "cells": part_cells.measure,
    "calls": part_calls.measure,
    "profile": part_profile.measure,
    "allocations": part_allocations.measure,
    "idle": part_idle.measure,
    "sessions": part_sessions.measure,
    "micro": part_micro.measure,
    "costs": part_costs.measure,
    "files": part_files.measure,
    "coalesce": part_coalesce.measure,
}


def end_on_signal(number: int, _frame: FrameType | None) -> None:
    for other in END_SIGNALS:
        signal.signal(other, signal.SIG_IGN)  # a second Ctrl-C must not leave servers behind
    sys.exit(128 + number)


def measure(given: options.Options) -> dict[str, Any]:
    """Each part in turn; what has been measured is kept after each, so that an interrupted run is not lost."""
    figures: dict[str, Any] = {"conditions": machine.conditions(given)}
    for part in given.parts:
        begin = time.monotonic()
        print(f"-- {part}", file=sys.stderr, flush=True)
        figures[part] = MEASURES[part](given)
        print(f"-- {part}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
        given.results.write_text(json.dumps(figures, indent=1))
    return figures


def main() -> None:
    given = options.parse()
    for number in END_SIGNALS:
        signal.signal(number, end_on_signal)
    if given.from_results:
        figures = json.loads(given.from_results.read_text())
    else:
        figures = measure(given)
    results = Results(figures)
    print(document.terminal(results))
    if given.document:
        for path in document.write(results, given.document):
            print(f"written: {path}", file=sys.stderr)
    print("The marks:\n\n" + tables.marks_table(results))
    if results.part("cells").get("failures"):
        sys.exit(1)


if __name__ == "__main__":
    main()
