# SPDX-License-Identifier: Apache-2.0
"""What people read: the tables on the terminal, and the document from its template."""

import pathlib
import re
from collections.abc import Callable

from . import plots, tables
from .model import PARTS, splits
from .options import BENCHMARKS, ROOT
from .results import MARTLETS, Results

TEMPLATE = BENCHMARKS / "performance.md.in"


def _conditions(results: Results) -> str:
    found = results.part("conditions")
    quick = " **A quick run: it shows that everything runs, and its figures mean nothing.**" \
        if found.get("is_quick") else ""
    programs = ", ".join(found.get("programs", {}).values())
    return f"{found.get('date')}, {found.get('machine')}. {found.get('run')}. {programs}.{quick}"


def _model_table(results: Results) -> str:
    rows = [[f"{entry.load}, {entry.server}", f"**{tables.small(entry.measured)}**",
             *(tables.small(entry.parts[part]) for part in PARTS)]
            for server in MARTLETS for entry in splits(results, server)]
    if not rows:
        return "Not measured."
    return tables.table(["µs per command", "spent", *PARTS], rows)


def _costs_table(results: Results) -> str:
    costs = results.part("costs")
    if "blocks" not in costs:
        return "Not measured."
    rows = [["a system call that does nothing", f"{costs['null_call_ns']:.0f}"],
            ["falling asleep in epoll_wait and being woken, beyond the call", f"{costs['wake_up_ns']:.0f}"],
            ["copying 4 KiB out of 256 MiB; into 256 MiB; within the cache",
             f"{costs['copy_out_ns']:.0f}; {costs['copy_in_ns']:.0f}; {costs['copy_cached_ns']:.0f}"],
            ["reading the clock", f"{costs['clock_ns']:.0f}"]]
    for name, words in (("headers", "headers"), ("blocks", "headers with 4 KiB each")):
        for point in costs[name]:
            if point["pdus"] in (1, 32, 128):
                rows.append([f"sending {point['pdus']} {words}; receiving them",
                             f"{point['send_ns']:.0f}; {point['receive_ns']:.0f}"])
    return tables.table(["", "ns"], rows)


def _shortfalls(results: Results) -> str:
    """The marks that are not met, one a line, and what is spent beyond the floor there."""
    from .marks import MARKS
    lines = [f"* {mark.name}: {measured.load} {measured.server}: {tables.small(measured.value)}{mark.unit} "
             f"({mark.limits})"
             for mark in MARKS for measured in mark.compute(results)
             if measured.value is not None and "not" in mark.verdict(measured.value)]
    return "\n".join(lines) or "All marks that were measured are met."


FIELDS: dict[str, Callable[[Results], str]] = {
    "conditions": _conditions,
    "marks": tables.marks_table,
    "shortfalls": _shortfalls,
    "cells": tables.cells_table,
    "ratios": tables.ratios_table,
    "latency": tables.latency_table,
    "model": _model_table,
    "costs": _costs_table,
    "micro": tables.micro_table,
    "calls": lambda results: tables.entries_table(results, "calls", {
        "load": "load", "server": "server", "calls_per_command": "calls per command",
        "switches_per_command": "sleeps per command", "counted_by": "counted by", "names": "shares, by strace"}),
    "files": lambda results: tables.entries_table(results, "files", {
        "load": "load", "server": "server", "iops": "IOPS", "fio_iops": "fio's IOPS", "ratio": "ratio",
        "note": "range"}),
    "coalesce": lambda results: results.part("coalesce").get("markdown", "Not measured."),
    "profile": tables.profile_lists,
    "not_run": tables.not_run,
}


def terminal(results: Results) -> str:
    """What was measured, without the words of the document."""
    parts = [_conditions(results)]
    if results.rounds:
        parts += ["IOPS, and server CPU in µs per command (medians):", tables.cells_table(results),
                  "Server CPU per command as a ratio: the median of the rounds (and their range):",
                  tables.ratios_table(results),
                  "Latency seen by the initiator, median / 99th percentile in µs:", tables.latency_table(results)]
    for part, title in (("calls", "System calls and sleeps:"), ("profile", "Profiles:"), ("micro", "Microbenchmarks:"),
                        ("costs", "What this machine asks for:"), ("model", "Where the microseconds go:"),
                        ("files", "Files with O_DIRECT:")):
        if results.part(part) or (part == "model" and results.rounds and results.part("costs")):
            parts += [title, FIELDS[part](results)]
    return "\n\n".join(parts + [tables.not_run(results)]) + "\n"


def write(results: Results, path: pathlib.Path) -> list[pathlib.Path]:
    """The document and its plots; the files written. {{NAME}} in the template is replaced."""
    def fill(field: re.Match[str]) -> str:
        return FIELDS[field.group(1)](results)

    def keep_if_there(image: re.Match[str]) -> str:
        return image.group(0) if (path.parent / image.group(1)).exists() else ""

    path.parent.mkdir(parents=True, exist_ok=True)
    written = plots.write(results, path.parent / "plots")
    text = re.sub(r"\{\{(\w+)\}\}", fill, TEMPLATE.read_text())
    text = re.sub(r"!\[[^]]*\]\(([^)]+)\)\n\n", keep_if_there, text)
    # Where the checkout lies is nobody's business.
    path.write_text(text.replace(f"{ROOT}/", ""))
    return [path, *written]
