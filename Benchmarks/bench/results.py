# SPDX-License-Identifier: Apache-2.0
"""The figures of a run, and what is asked of them: medians, and ratios formed within a round."""

import statistics
from typing import Any, NamedTuple


class Ratio(NamedTuple):
    """The median of the rounds, and their range."""

    median: float
    low: float
    high: float


class Results:
    """The contents of results.json: {"conditions": {...}, PART: what the part measured}."""

    def __init__(self, figures: dict[str, Any]) -> None:
        self.figures = figures

    def part(self, name: str) -> dict[str, Any]:
        """What a part measured; empty when it was not run."""
        return self.figures.get(name) or {}

    @property
    def rounds(self) -> dict[str, dict[str, list[dict[str, Any] | None]]]:
        return self.part("cells").get("rounds", {})

    @property
    def servers(self) -> list[str]:
        return list(dict.fromkeys(name for by_server in self.rounds.values() for name in by_server))

    def of(self, cell: str, server: str) -> list[dict[str, Any] | None]:
        return self.rounds.get(cell, {}).get(server, [])

    def median(self, cell: str, server: str, *path: str) -> float | None:
        """Of one figure of the load generator's line over the rounds."""
        found = []
        for result in self.of(cell, server):
            value: Any = result
            for key in path:
                value = value.get(key) if value else None
            if value is not None:
                found.append(value)
        return statistics.median(found) if found else None

    def ratio(self, key: str, cell: str, server: str, reference_cell: str, reference: str) -> Ratio | None:
        """One ratio for each round in which both were measured, shortly after each other."""
        ratios = [ours[key] / theirs[key]
                  for ours, theirs in zip(self.of(cell, server), self.of(reference_cell, reference))
                  if ours and theirs and theirs[key] > 0]
        return Ratio(statistics.median(ratios), min(ratios), max(ratios)) if ratios else None


def partner(server: str) -> str:
    """The floor on the same poller."""
    return "floor-uring" if server.endswith("-uring") else "floor-epoll"


MARTLETS = ("martlet-epoll", "martlet-uring")
