# SPDX-License-Identifier: Apache-2.0
"""What is asked of every server."""

from typing import NamedTuple

LUN_BYTES = 1 << 30
AREA = "256M"  # of the LUN that is used, the same for all

DEPTHS = (1, 8, 32, 128)
ACCESSES = ("randread", "randwrite")
LARGE = (("64k", 16), ("1m", 8))
LARGE_ACCESSES = ("read", "write")
SIZE_BYTES = {"4k": 4096, "64k": 65536, "1m": 1 << 20}


class Cell(NamedTuple):
    """One load. Its name is what --only matches and where its results are found."""

    name: str
    access: str
    size: str
    queue_depth: int  # of each connection
    connections: int = 1
    loops: int = 1
    sleeps: bool = False  # the load sleeps while it waits, though it could have a processor to itself

    @property
    def byte_count(self) -> int:
        return SIZE_BYTES[self.size]


def small(access: str, depth: int) -> str:
    return f"4k-{access}-qd{depth}"


def large(size: str, access: str, depth: int) -> str:
    return f"{size}-{access}-qd{depth}"


def spread(access: str) -> str:
    """Two loops, four connections."""
    return f"4k-{access}-qd32-4conn-2loops"


def alone(access: str) -> str:
    """What `spread` is compared with: one loop, one connection, and a load that sleeps just as that of `spread`."""
    return f"4k-{access}-qd32-sleeping"


CELLS: list[Cell] = [
    *(Cell(small(access, depth), access, "4k", depth) for access in ACCESSES for depth in DEPTHS),
    *(Cell(large(size, access, depth), access, size, depth) for size, depth in LARGE for access in LARGE_ACCESSES),
    *(Cell(alone(access), access, "4k", 32, sleeps=True) for access in ACCESSES),
    *(Cell(spread(access), access, "4k", 32, 4, 2, sleeps=True) for access in ACCESSES),
]
