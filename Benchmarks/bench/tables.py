# SPDX-License-Identifier: Apache-2.0
"""Tables in Markdown, which read as well on a terminal."""

from collections.abc import Sequence

from .marks import MARKS
from .options import PARTS
from .results import Results, partner


def small(value: float) -> str:
    if 0 < value < 0.01:
        return f"{value:.2g}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def count(value: float) -> str:
    return f"{value / 1000:.1f}k" if value >= 1000 else f"{value:.0f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """The first `left` columns are words, the others figures."""
    lines = ["| " + " | ".join(head) + " |", "|---" * left + "|" + "---:|" * (len(head) - left)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def marks_table(results: Results) -> str:
    """Of a run of a few parts, only the marks that these are for."""
    is_whole = set(PARTS) <= set(results.part("conditions").get("parts", []))
    rows = []
    for mark in MARKS:
        found = list(mark.compute(results))
        if not is_whole and all(measured.value is None for measured in found):
            continue
        for index, measured in enumerate(found):
            value = "–" if measured.value is None else f"{small(measured.value)}{mark.unit}"
            load = " ".join(part for part in (measured.load, measured.server) if part)
            rows.append(["" if index else mark.name, load, value, measured.note, mark.limits,
                         mark.verdict(measured.value)])
    for entry in results.part("coalesce").get("marks", []):
        rows.append([str(entry.get(key, "")) for key in ("name", "load", "measured", "note", "bound", "verdict")])
    return table(["mark", "load and server", "measured", "range or parts", "bound", ""], rows, left=2)


def cells_table(results: Results) -> str:
    names = results.servers
    rows = []
    for cell in results.rounds:
        row = [cell]
        for name in names:
            iops = results.median(cell, name, "iops")
            cpu = results.median(cell, name, "server_cpu_us_per_command")
            row.append("–" if iops is None or cpu is None else f"{count(iops)}, {small(cpu)}")
        rows.append(row)
    return table(["", *names], rows)


def ratios_table(results: Results) -> str:
    """Everyone's server CPU against the floor on the same poller, with the range of the rounds."""
    names = [name for name in results.servers if not name.startswith("floor-")]
    names += [name for name in results.servers if name == "floor-uring"]
    rows = []
    for cell in results.rounds:
        row = [cell]
        for name in names:
            reference = "floor-epoll" if name == "floor-uring" else partner(name)
            ratio = results.ratio("server_cpu_us_per_command", cell, name, cell, reference)
            row.append(f"**{small(ratio.median)}** ({small(ratio.low)} to {small(ratio.high)})" if ratio else "–")
        rows.append(row)
    head = [f"{name} ÷ {'floor-epoll' if name == 'floor-uring' else partner(name)}" for name in names]
    return table(["", *head], rows)


def latency_table(results: Results) -> str:
    rows = []
    for cell in results.rounds:
        row = [cell]
        for name in results.servers:
            middle = results.median(cell, name, "latency_us", "p50")
            high = results.median(cell, name, "latency_us", "p99")
            row.append("–" if middle is None or high is None else f"{small(middle)} / {small(high)}")
        rows.append(row)
    return table(["", *results.servers], rows)


def not_run(results: Results) -> str:
    reasons = [f"* {name} was not run: {reason}" for name, reason in results.part("cells").get("not_run", {}).items()]
    for part in ("calls", "profile", "allocations", "idle", "sessions", "micro", "costs", "files", "coalesce"):
        for reason in results.part(part).get("not_run", []):
            reasons.append(f"* {part}: {reason}")
    failures = [f"* failed: {failure}" for failure in results.part("cells").get("failures", [])]
    return "\n".join(reasons + failures) or "Everything was run."


def entries_table(results: Results, part: str, columns: dict[str, str]) -> str:
    """The list of a part, one column for each key."""
    entries = results.part(part).get("entries", [])
    if not entries:
        return "Not measured."
    rows = []
    for entry in entries:
        row = []
        for key in columns:
            value = entry.get(key)
            row.append("–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value))
        rows.append(row)
    return table(list(columns.values()), rows, left=2)


def profile_lists(results: Results) -> str:
    """A list for each load: the functions in which most of the server's time was spent."""
    parts = []
    for entry in results.part("profile").get("entries", []):
        parts.append(f"{entry['load']}, {entry['server']}: {entry['kernel_percent']:.0f} % in the kernel.")
        parts.append(table(["function", "in the", "%"], [
            [f"`{function['name'][:100].replace('|', ' ')}`", function["where"], f"{function['percent']:.1f}"]
            for function in entry["functions"]], left=2))
    return "\n\n".join(parts) or "Not measured."


def micro_table(results: Results) -> str:
    entries = results.part("micro").get("entries", {})
    if not entries:
        return "Not measured."
    rows = []
    for name, entry in entries.items():
        instructions = entry.get("instructions")
        rows.append([entry["what"], f"{entry['ns']:.1f}", "–" if instructions is None else f"{instructions:.0f}"])
    return table(["", "ns", "instructions"], rows)
