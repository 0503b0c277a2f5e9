# SPDX-License-Identifier: Apache-2.0
"""What the runner is asked to do."""

import argparse
import dataclasses
import os
import pathlib
import re

from .cells import CELLS, Cell

BENCHMARKS = pathlib.Path(__file__).resolve().parent.parent
ROOT = BENCHMARKS.parent
DEFAULT_MARTLET = ROOT / "build" / "bin" / "martlet"
DEFAULT_DOCUMENT = ROOT / "docs" / "performance.md"
PARTS = ("cells", "calls", "profile", "allocations", "idle", "sessions", "micro", "costs", "files", "coalesce")
QUICK_SECONDS, USUAL_SECONDS = 0.12, 1.2


@dataclasses.dataclass
class Options:
    """All times are in seconds."""

    programs: pathlib.Path
    martlet: pathlib.Path
    parts: tuple[str, ...]
    cells: list[Cell]
    servers: set[str] | None  # None: all
    peers: dict[str, str]     # name to command
    is_quick: bool
    rounds: int
    seconds: float
    warmup: float
    sleeps: bool              # the load always sleeps while it waits
    server_cpus: set[int] | None
    client_cpus: set[int] | None
    file: pathlib.Path | None
    results: pathlib.Path
    document: pathlib.Path | None
    from_results: pathlib.Path | None

    def wants(self, server: str) -> bool:
        return self.servers is None or server in self.servers


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run.sh", description="Measures Martlet, the floor, tgt and whoever else prints an iscsi:// URL, in turn; "
        "then the parts of Martlet. Prints tables and the marks.",
        epilog="Cells: " + ", ".join(cell.name for cell in CELLS))
    add = parser.add_argument
    add("--programs", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    add("martlet", nargs="?", default=os.environ.get("MARTLET", DEFAULT_MARTLET), type=pathlib.Path,
        help="the martlet executable (default: $MARTLET, else build/bin/martlet)")
    add("--quick", action="store_true", help="everything once and briefly: does it run at all?")
    add("--parts", metavar="NAMES", help=f"only these, separated by commas: {', '.join(PARTS)}")
    add("--only", metavar="PATTERN", help="only cells whose name this regular expression is found in")
    add("--servers", metavar="NAMES", help="only these, separated by commas: floor-epoll, floor-uring, martlet-epoll, "
        "martlet-uring, tgt-aio, tgt-rdwr, and names given with --peer")
    add("--peer", action="append", default=[], metavar="NAME=COMMAND",
        help="measure this server too: a command that prints an iscsi:// URL; {loops} is replaced")
    add("--rounds", type=int, help="how often each cell is measured (default 3)")
    add("--seconds", type=float, help=f"measured time of each run (default {USUAL_SECONDS})")
    add("--warmup", type=float, help="before each (default a fifth of that)")
    add("--sleep", action="store_true", help="let the load generator sleep while it waits: the server then pays for "
        "waking it (default: it polls, where it has a CPU to itself)")
    add("--pin", metavar="SERVER:CLIENT", help="CPUs for the servers and for the load generator, such as 0:1 or 0,1:2 "
        "(default: wherever the kernel puts them)")
    add("--file", type=pathlib.Path, metavar="FILE", help="for aio, uring and fio: a file of 256 MiB to be made and "
        "removed there, on the disk that is meant (default: beside the programs)")
    add("--results", type=pathlib.Path, metavar="FILE", help="every figure, as JSON (default: results.json beside the "
        "programs)")
    add("--document", nargs="?", const=DEFAULT_DOCUMENT, type=pathlib.Path, metavar="FILE",
        help="write the document and its plots (default: docs/performance.md, or beside the programs when not "
        "everything is measured, or --quick)")
    add("--from", dest="from_results", type=pathlib.Path, metavar="FILE", help="measure nothing: take these results")
    return parser


def _cpus(text: str) -> set[int]:
    return {int(cpu) for cpu in text.split(",")}


def parse() -> Options:
    parser = _parser()
    given = parser.parse_args()
    server_cpus = client_cpus = None
    try:
        if given.pin:
            server_cpus, client_cpus = (_cpus(part) for part in given.pin.split(":"))
        cells = [cell for cell in CELLS if re.search(given.only or "", cell.name)]
        peers = dict(peer.split("=", 1) for peer in given.peer)
    except (ValueError, re.error) as error:
        parser.error(f"--pin takes CPUS:CPUS, --peer NAME=COMMAND, --only a regular expression ({error})")
    # Who picks cells or servers wants those, and not the rest.
    picks_cells = given.only or given.servers or given.peer
    parts = tuple(given.parts.split(",")) if given.parts else ("cells",) if picks_cells else PARTS
    unknown = set(parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if not cells:
        parser.error("no cell matches --only")
    is_whole = set(parts) == set(PARTS) and not picks_cells and not given.quick
    document = given.document
    if document == DEFAULT_DOCUMENT and not is_whole and not given.from_results:
        document = given.programs / "performance.md"  # the figures of a part must not pass for those of the whole
    seconds = given.seconds or (QUICK_SECONDS if given.quick else USUAL_SECONDS)
    return Options(
        programs=given.programs, martlet=given.martlet, parts=parts, cells=cells,
        servers=set(given.servers.split(",")) if given.servers else None, peers=peers, is_quick=given.quick,
        rounds=given.rounds or (1 if given.quick else 3), seconds=seconds,
        warmup=seconds / 5 if given.warmup is None else given.warmup, sleeps=given.sleep, server_cpus=server_cpus,
        client_cpus=client_cpus, file=given.file, results=given.results or given.programs / "results.json",
        document=document, from_results=given.from_results)
