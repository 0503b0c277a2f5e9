# SPDX-License-Identifier: Apache-2.0
"""The plots of the document, as SVG: the same figures give the same file."""

import pathlib
from typing import Any

from .cells import ACCESSES, DEPTHS, LARGE, LARGE_ACCESSES, SIZE_BYTES, large, small
from .model import PARTS, splits
from .results import MARTLETS, Results

COLOURS = {"floor-epoll": "#888888", "floor-uring": "#444444", "martlet-epoll": "#1f77b4", "martlet-uring": "#17becf",
           "tgt-aio": "#d62728", "tgt-rdwr": "#ff9896"}
OTHER_COLOUR = "#9467bd"
PART_COLOURS = ("#ffbb78", "#ff7f0e", "#98df8a", "#2ca02c", "#c7c7c7", "#1f77b4")
TITLES = {"randread": "4 KiB random read", "randwrite": "4 KiB random write"}
MIB = 1 << 20


def _library() -> Any | None:
    """matplotlib, set up so that its output does not change from run to run; None without it."""
    try:
        import matplotlib
    except ImportError:
        return None
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "martlet", "svg.fonttype": "none", "font.size": 9,
                                "axes.grid": True, "grid.linewidth": 0.3, "axes.spines.top": False,
                                "axes.spines.right": False, "figure.constrained_layout.use": True})
    import matplotlib.pyplot
    return matplotlib.pyplot


def _save(pyplot: Any, figure: Any, path: pathlib.Path) -> pathlib.Path:
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    # No spaces at the ends of lines, which people's tools complain of.
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
    return path


def _colour(name: str) -> str:
    return COLOURS.get(name, OTHER_COLOUR)


def _against_depth(pyplot: Any, results: Results, key: str, label: str, scale: float, path: pathlib.Path
                   ) -> pathlib.Path:
    figure, axes = pyplot.subplots(1, 2, figsize=(8, 3.2), sharey=True)
    for axis, access in zip(axes, ACCESSES):
        for name in results.servers:
            points = [(depth, results.median(small(access, depth), name, key)) for depth in DEPTHS]
            known = [(depth, value / scale) for depth, value in points if value]
            if known:
                axis.plot(*zip(*known), marker="o", markersize=3, linewidth=1.2, color=_colour(name), label=name)
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.set_xticks(DEPTHS, [str(depth) for depth in DEPTHS])
        axis.set_title(TITLES[access])
        axis.set_xlabel("queue depth")
    axes[0].set_ylabel(label)
    axes[1].legend(fontsize=7, frameon=False)
    return _save(pyplot, figure, path)


def _large_blocks(pyplot: Any, results: Results, path: pathlib.Path) -> pathlib.Path:
    loads = [(size, access, large(size, access, depth)) for size, depth in LARGE for access in LARGE_ACCESSES]
    names = results.servers
    figure, axis = pyplot.subplots(figsize=(8, 3))
    width = 0.8 / max(1, len(names))
    for index, name in enumerate(names):
        values = [(results.median(load, name, "server_cpu_us_per_command") or 0) * MIB / SIZE_BYTES[size]
                  for size, _, load in loads]
        places = [place + (index - (len(names) - 1) / 2) * width for place in range(len(loads))]
        axis.bar(places, values, width, color=_colour(name), label=name)
    axis.set_xticks(range(len(loads)), [f"{size.upper()}iB {access}" for size, access, _ in loads])
    axis.set_ylabel("server CPU, µs per MiB")
    axis.legend(fontsize=7, frameon=False)
    return _save(pyplot, figure, path)


def _where_it_goes(pyplot: Any, results: Results, path: pathlib.Path) -> pathlib.Path | None:
    shown = [entry for server in MARTLETS for entry in splits(results, server)]
    if not shown:
        return None
    figure, axis = pyplot.subplots(figsize=(8, 0.32 * len(shown) + 1))
    places = range(len(shown))
    left = [0.0] * len(shown)
    for part, colour in zip(PARTS, PART_COLOURS):
        shares = [100 * entry.parts[part] / entry.measured for entry in shown]
        axis.barh(places, shares, left=left, color=colour, label=part)
        left = [before + share for before, share in zip(left, shares)]
    for place, entry in zip(places, shown):
        axis.text(101, place, f"{entry.measured:.2f} µs", va="center", fontsize=7)
    axis.set_yticks(places, [f"{entry.load} {entry.server}" for entry in shown], fontsize=7)
    axis.invert_yaxis()
    axis.set_xlim(0, 112)
    axis.set_xlabel("% of the server's CPU per command")
    axis.legend(fontsize=7, frameon=False, ncols=len(PARTS), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return _save(pyplot, figure, path)


def write(results: Results, folder: pathlib.Path) -> list[pathlib.Path]:
    """The files written; none without matplotlib or without cells."""
    pyplot = _library()
    if not pyplot or not results.rounds:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    written = [
        _against_depth(pyplot, results, "server_cpu_us_per_command", "server CPU, µs per command", 1,
                       folder / "cpu.svg"),
        _against_depth(pyplot, results, "iops", "thousand IOPS", 1000, folder / "iops.svg"),
        _large_blocks(pyplot, results, folder / "large.svg"),
    ]
    split = _where_it_goes(pyplot, results, folder / "model.svg")
    return written + ([split] if split else [])
