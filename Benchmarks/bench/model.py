# SPDX-License-Identifier: Apache-2.0
"""Where the microseconds of a command go: what the server spent, split by what this machine asks for each thing.

The kernel's part is put together from costs.c and from how often a server calls and sleeps; what the floor spent beyond
that is its own work and what the pieces, measured apart, do not show (caches shared with another processor, softirqs
charged to whoever runs). What Martlet spent beyond the floor is Martlet's.
"""

import dataclasses
from typing import Any

from .cells import ACCESSES, small
from .results import Results, partner

MODEL_DEPTHS = (1, 32, 128)
SOCKET_CALLS_PER_TURN = 3  # wait, receive, send
URING_CALLS_PER_TURN = 1
BLOCK_BYTES, HEADER_BYTES = 4096, 48
PARTS = ("system call", "wake-up", "socket", "copy", "rest of the floor", "Martlet")


@dataclasses.dataclass
class Split:
    """Microseconds per command by what they went to. They add up to what was measured."""

    load: str
    server: str
    measured: float
    parts: dict[str, float]


def _per_batch(points: list[dict[str, Any]], key: str, pdus: float) -> float:
    """Nanoseconds for a batch of so many PDUs, between the measured sizes by straight lines."""
    if pdus <= points[0]["pdus"]:
        return points[0][key]
    for low, high in zip(points, points[1:]):
        if pdus <= high["pdus"]:
            share = (pdus - low["pdus"]) / (high["pdus"] - low["pdus"])
            return low[key] + share * (high[key] - low[key])
    return points[-1][key] * pdus / points[-1]["pdus"]


def _calls_per_command(results: Results, load: str, server: str) -> float | None:
    for entry in results.part("calls").get("entries", []):
        if entry["load"] == load and entry["server"] == server:
            return entry["calls_per_command"]
    return None


def split(results: Results, access: str, depth: int, server: str) -> Split | None:
    """None when something it is made of was not measured."""
    load, floor = small(access, depth), partner(server)
    costs = results.part("costs")
    measured = results.median(load, server, "server_cpu_us_per_command")
    floor_cpu = results.median(load, floor, "server_cpu_us_per_command")
    switches = results.median(load, floor, "server_switches_per_command")
    calls = _calls_per_command(results, load, floor)
    if measured is None or floor_cpu is None or switches is None or "blocks" not in costs:
        return None
    per_turn = URING_CALLS_PER_TURN if floor.endswith("-uring") else SOCKET_CALLS_PER_TURN
    if calls is None:  # not counted: as many commands a turn as are outstanding
        calls = per_turn / depth
    batch = max(1.0, min(float(depth), per_turn / calls))
    to_us, from_us = ("blocks", "headers") if access == "randread" else ("headers", "blocks")
    socket_ns = (_per_batch(costs[to_us], "send_ns", batch) + _per_batch(costs[from_us], "receive_ns", batch)) / batch
    entry = costs["null_call_ns"]
    # The kernel's copy is inside the socket's figures: a read's out of the store, a write's of what has just come. A
    # write's second copy, into the store, is the server's.
    kernel_copy = costs["copy_out_ns"] if access == "randread" else costs["copy_cached_ns"]
    own_copy = costs["copy_in_ns"] if access == "randwrite" else 0.0
    parts = {
        "system call": calls * entry / 1000,
        "wake-up": min(switches, 1.0) * costs["wake_up_ns"] / 1000,
        "socket": max(0.0, socket_ns - kernel_copy - 2 * entry / batch) / 1000,
        "copy": (kernel_copy + own_copy) / 1000,
    }
    known = sum(parts.values())
    if known > floor_cpu:  # measured apart they cost more than together: shrink them to what was spent
        parts = {name: value * floor_cpu / known for name, value in parts.items()}
    parts["rest of the floor"] = max(0.0, floor_cpu - known)
    parts["Martlet"] = max(0.0, measured - floor_cpu) if server.startswith("martlet") else 0.0
    if measured < floor_cpu:
        parts = {name: value * measured / floor_cpu for name, value in parts.items()}
    return Split(load, server, measured, parts)


def splits(results: Results, server: str) -> list[Split]:
    found = (split(results, access, depth, server) for access in ACCESSES for depth in MODEL_DEPTHS)
    return [entry for entry in found if entry]
