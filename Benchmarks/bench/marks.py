# SPDX-License-Identifier: Apache-2.0
"""The marks, as data: what each is, how it is computed from the results, its bound and its aim. Nothing is asserted."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from .cells import ACCESSES, LARGE, LARGE_ACCESSES, alone, large, small, spread
from .results import MARTLETS, Ratio, Results, partner

CPU, IOPS = "server_cpu_us_per_command", "iops"


class Measured(NamedTuple):
    """One value for a mark: of this load on this server."""

    load: str
    server: str
    value: float | None  # None: not measured
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Mark:
    name: str
    bound: float
    compute: Callable[[Results], Iterator[Measured]]
    direction: Literal["at most", "at least"] = "at most"
    aim: float | None = None
    unit: str = ""
    words: str = ""  # for the bound, where the number is not what is meant

    def verdict(self, value: float | None) -> str:
        if value is None:
            return "not measured"
        if self.aim is not None and self._reaches(value, self.aim):
            return "met, and the aim"
        return "met" if self._reaches(value, self.bound) else "**not met**"

    def _reaches(self, value: float, limit: float) -> bool:
        return value <= limit if self.direction == "at most" else value >= limit

    @property
    def limits(self) -> str:
        if self.words:
            return self.words
        sign = "≤" if self.direction == "at most" else "≥"
        aim = "" if self.aim is None else f", aim {self.aim:g}{self.unit}"
        return f"{sign} {self.bound:g}{self.unit}{aim}"


def _martlets(results: Results) -> list[str]:
    """Those that were run: why another was not stands elsewhere."""
    return [name for name in MARTLETS if name in results.servers] or ["martlet"]


def _range(ratio: Ratio | None) -> str:
    return f"{ratio.low:.2f} to {ratio.high:.2f}" if ratio else ""


def _against_floor(key: str, cells: list[str]) -> Callable[[Results], Iterator[Measured]]:
    """Each of Martlet's pollers against the floor on the same poller."""
    def compute(results: Results) -> Iterator[Measured]:
        for cell in cells:
            for server in _martlets(results):
                ratio = results.ratio(key, cell, server, cell, partner(server))
                yield Measured(cell, server, ratio.median if ratio else None, _range(ratio))
    return compute


def _against_tgt(results: Results) -> Iterator[Measured]:
    for access in ACCESSES:
        cell = small(access, 32)
        stores = [name for name in results.servers if name.startswith("tgt-") and results.median(cell, name, IOPS)]
        best = max(stores, key=lambda name: results.median(cell, name, IOPS) or 0, default="")
        for server in _martlets(results):
            ratio = results.ratio(IOPS, cell, server, cell, best)
            yield Measured(cell, server, ratio.median if ratio else None, f"÷ {best}, {_range(ratio)}" if ratio else "")


def _two_loops(results: Results) -> Iterator[Measured]:
    for access in ACCESSES:
        for server in _martlets(results):
            ratio = results.ratio(CPU, spread(access), server, alone(access), server)
            floor = results.ratio(CPU, spread(access), partner(server), alone(access), partner(server))
            note = f"{_range(ratio)}; the floor's: {floor.median:.2f}" if ratio and floor else _range(ratio)
            yield Measured(spread(access), server, ratio.median if ratio else None, note)


def _listed(part: str, key: str) -> Callable[[Results], Iterator[Measured]]:
    """The entries of a part's list: each has "load", "server" and, if it could be measured, the value under `key`."""
    def compute(results: Results) -> Iterator[Measured]:
        entries = results.part(part).get("entries", [])
        for entry in entries:
            yield Measured(entry["load"], entry["server"], entry.get(key), entry.get("note", ""))
        if not entries:
            yield Measured("", "", None)
    return compute


def _handler_call(results: Results) -> Iterator[Measured]:
    micro = results.part("micro").get("entries", {})
    device, direct = micro.get("handler-device"), micro.get("handler-direct")
    value = device["ns"] - direct["ns"] if device and direct else None
    note = f"{device['ns']:.1f} through the ABI, {direct['ns']:.1f} calling the function" if device and direct else ""
    yield Measured("HandlerDevice.submit to completion", "in process", value, note)


_SMALL = [small(access, depth) for access in ACCESSES for depth in (32, 128)]
_SHALLOW = [small(access, depth) for access in ACCESSES for depth in (1, 8)]
_LARGE = [large(size, access, depth) for size, depth in LARGE for access in LARGE_ACCESSES]

MARKS: list[Mark] = [
    Mark("server CPU per command ÷ floor, 4 KiB, QD 32 and 128", 1.5, _against_floor(CPU, _SMALL), aim=1.25),
    Mark("the same at QD 1 and 8", 1.15, _against_floor(CPU, _SHALLOW)),
    Mark("server CPU per MiB ÷ floor, 64 KiB and 1 MiB", 1.15, _against_floor(CPU, _LARGE)),
    Mark("IOPS ÷ floor, 4 KiB, QD 32 and 128", 0.75, _against_floor(IOPS, _SMALL), "at least", aim=0.9),
    Mark("IOPS ÷ the best store of tgt, 4 KiB, QD 32", 12, _against_tgt, "at least"),
    Mark("server CPU per command, two loops and four connections ÷ one and one", 1.1, _two_loops),
    Mark("IOPS ÷ fio, O_DIRECT, 4 KiB, QD 32", 0.85, _listed("files", "ratio"), "at least"),
    Mark("handler call through the ABI, over calling the function", 60, _handler_call, unit=" ns"),
    Mark("idle server with 100 sessions, of a core", 0.2, _listed("idle", "percent"), unit=" %"),
    Mark("memory of an idle session, of 1,000", 32, _listed("sessions", "kib"), unit=" KiB"),
    Mark("idle server with 1,000 sessions, of a core", 1.0, _listed("sessions", "percent"), unit=" %"),
    Mark("growth of the server by 9,000 logins and logouts", 1024, _listed("sessions", "growth_kib"), unit=" KiB"),
    # A server allocates now and then for reasons of its own, such as a timer's table: one in ten thousand is none.
    Mark("heap allocations per command in steady state", 0.0001, _listed("allocations", "per_command"), words="0"),
]
