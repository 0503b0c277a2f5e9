# SPDX-License-Identifier: Apache-2.0
"""What the runs add up to: medians, ratios within a round, and tables of them."""

import os
import pathlib
import platform
import statistics

FLOOR = "floor"
TGT_PREFIX = "tgt"


def _median(rounds, *path):
    """The median over the rounds of one figure of the load generator's line; None when there is none."""
    figures = []
    for result in rounds:
        for key in path:
            result = result.get(key) if result else None
        if result is not None:
            figures.append(result)
    return statistics.median(figures) if figures else None


def _ratios(rounds, reference_rounds, key):
    """One ratio for each round in which both were measured, one right after the other."""
    return [ours[key] / theirs[key] for ours, theirs in zip(rounds, reference_rounds)
            if ours and theirs and theirs[key] > 0]


def summarize(results, server_names):
    """results: {cell: {server: [line of the load generator, or None for a failure, for each round]}}"""
    summary = {}
    for cell, by_server in results.items():
        summary[cell] = {}
        for name in server_names:
            rounds = by_server[name]
            figures = {
                "iops": _median(rounds, "iops"),
                "mb_per_s": _median(rounds, "mb_per_s"),
                "server_cpu_us_per_command": _median(rounds, "server_cpu_us_per_command"),
                "server_switches_per_command": _median(rounds, "server_switches_per_command"),
                "latency_p50_us": _median(rounds, "latency_us", "p50"),
                "latency_p99_us": _median(rounds, "latency_us", "p99"),
                "client_cpus": _median(rounds, "client_cpus"),
                "failures": sum(result is None for result in rounds),
                "ratios": {},
            }
            for reference in server_names:
                cpu = _ratios(rounds, by_server[reference], "server_cpu_us_per_command")
                iops = _ratios(rounds, by_server[reference], "iops")
                if reference != name and cpu:
                    figures["ratios"][reference] = {
                        "server_cpu": statistics.median(cpu), "server_cpu_low": min(cpu),
                        "server_cpu_high": max(cpu), "iops": statistics.median(iops),
                    }
            summary[cell][name] = figures
    return summary


def machine():
    """Where this was measured, in one line."""
    try:
        cpu_lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        cpu_lines = []
    models = [line.split(":", 1)[1].strip() for line in cpu_lines if line.startswith("model name")]
    model = models[0] if models else platform.machine()
    return f"{os.cpu_count()} CPUs ({model}), Linux {platform.release()}"


def _count(value):
    return f"{value / 1000:.1f}k" if value >= 1000 else f"{value:.0f}"


def _small(value):
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _plain_cell(figures):
    if figures["iops"] is None:
        return "failed"
    return f"{_count(figures['iops'])}, {_small(figures['server_cpu_us_per_command'])}"


def _ratio_cell(figures, reference):
    ratio = figures["ratios"].get(reference)
    if not ratio:
        return "–"
    low, high = _small(ratio["server_cpu_low"]), _small(ratio["server_cpu_high"])
    return f"**{_small(ratio['server_cpu'])}** ({low} to {high})"


def _latency_cell(figures):
    if figures["latency_p50_us"] is None:
        return "failed"
    return f"{_small(figures['latency_p50_us'])} / {_small(figures['latency_p99_us'])}"


def _ratio_columns(names):
    """Everyone to the floor; everyone but tgt to tgt."""
    columns = [(name, FLOOR) for name in names if name != FLOOR and FLOOR in names]
    for reference in (name for name in names if name.startswith(TGT_PREFIX)):
        columns += [(name, reference) for name in names if name != FLOOR and not name.startswith(TGT_PREFIX)]
    return columns


def markdown(summary, names, conditions):
    parts = [conditions]
    parts.append("IOPS, and server CPU in µs per command (medians):")
    parts.append(_table(["", *names], [
        [cell, *(_plain_cell(by_server[name]) for name in names)] for cell, by_server in summary.items()]))
    columns = _ratio_columns(names)
    if columns:
        parts.append("Server CPU per command as a ratio: the median of the rounds (and their range):")
        parts.append(_table(["", *(f"{name} ÷ {reference}" for name, reference in columns)], [
            [cell, *(_ratio_cell(by_server[name], reference) for name, reference in columns)]
            for cell, by_server in summary.items()]))
    parts.append("Latency seen by the initiator, median / 99th percentile in µs (medians of the rounds):")
    parts.append(_table(["", *names], [
        [cell, *(_latency_cell(by_server[name]) for name in names)] for cell, by_server in summary.items()]))
    return "\n\n".join(parts) + "\n"
