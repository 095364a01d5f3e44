"""Scans of many archives on one process, two processes, and a Dask cluster with two workers, and what a larger cluster would need.

usage: python -m tests.bench.scans [DIRECTORY] [ARCHIVES] [EVENTS]      makes the archives that do not exist yet; 1,000 of 500 events take
half a minute
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

from consumer.archive.checking.verify import verify
from consumer.archive.listing import find_archives, size_of
from consumer.query.cluster import connected
from consumer.query.counting import Counting, Part
from consumer.query.executors import LocalProcesses
from consumer.query.grouping import parse_grouping
from consumer.query.prefetch import scan, scan_groups
from consumer.query.query import Query
from tests.bench.contestants import print_line
from tests.bench.haystack import events
from tests.support.archive_logs import archive_log
from tests.support.clusters import cluster
from tests.support.rolling import Unsynced

RUNS = 3
CALLS = 2000  # without work, which show what a call costs
NODES, CORES = 100, 16  # of the cluster that is reckoned
STORED, ARCHIVE = 100e12, 128 << 20  # bytes of a large archive, and of one of its files

Step = Callable[[Executor | None, Path], object]


def fill(directory: Path, archives: int, count: int) -> None:
    """Make the archives that do not exist yet."""
    made = len(find_archives([directory]))
    one = archive_log(directory, Unsynced())
    for number in range(made, archives):
        one.append(events(number * count, count))
        one.roll("bench")


def stats(executor: Executor | None, directory: Path) -> object:
    """`stats --by event_type --bucket 1m --bytes`: each body is parsed."""
    counting = Counting([directory], Query(), parse_grouping("event_type", "1m"))
    counting.executor = executor
    total = Part()
    for part in counting:
        total.merge(part)
    assert not total.faults
    return list(total.counts.rows())


def verified(executor: Executor | None, directory: Path) -> object:
    """`verify --deep`."""
    found = [
        (verdict.id, verdict.events, verdict.faults)
        for verdict in verify([directory], partial(scan_groups, executor, size=size_of))
    ]
    assert not any(faults for *_, faults in found)
    return found


def nothing(_: object) -> None:
    """A call without work."""


@contextmanager
def places() -> Iterator[dict[str, Executor | None]]:
    """Where the scans run. The processes exist and are warm, as in a long scan."""
    with ExitStack() as stack:
        two = stack.enter_context(LocalProcesses(2))
        remote = stack.enter_context(connected(stack.enter_context(cluster(2)).address))
        yield {"1 process": None, "2 processes": two, "Dask, 2 workers": remote}


def seconds(step: Callable[[], object]) -> tuple[float, object]:
    began = time.perf_counter()
    found = step()
    return time.perf_counter() - began, found


def measure(directory: Path, found: dict[str, Executor | None]) -> dict[tuple[str, str], float]:
    """The seconds of each scan at each place: the best of some runs, in turns. The answers are compared."""
    taken: dict[tuple[str, str], list[float]] = {}
    for _ in range(RUNS):
        for name, step in (("stats", stats), ("verify", verified)):
            answers = []
            for place, executor in found.items():
                needed, answer = seconds(lambda step=step, executor=executor: step(executor, directory))
                taken.setdefault((name, place), []).append(needed)
                answers.append(answer)
            assert answers[1:] == answers[:-1], "the answers differ"
    return {key: min(values) for key, values in taken.items()}


def reckon(name: str, rate: float, call_s: float) -> None:
    """What a large cluster would need. `rate`: stored bytes a second of one process."""
    archives = STORED / ARCHIVE
    work_h = STORED / rate / 3600
    here_min = work_h / (NODES * CORES) * 60
    print_line(
        f"{name}: {STORED / 1e12:,.0f} TB in {archives:,.0f} archives at {rate / 1e6:.0f} MB/s are {work_h:,.0f} hours of one core; "
        f"{NODES} nodes of {CORES} cores: {here_min:,.0f} minutes, {rate * CORES / 1e9:.2f} GB/s into each node; "
        f"the scheduler: {archives:,.0f} calls of {call_s * 1000:.1f} ms, {archives * call_s / 60:,.0f} minutes"
    )


def scan_table(archives: int, count: int, directory: Path | None = None) -> None:
    """Make the archives, scan them everywhere, and print the table. `directory`: where they are kept; None: removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="deedbox-bench-") as temporary:
        directory = directory or Path(temporary) / "archive"
        fill(directory, archives, count)
        size = sum(path.stat().st_size for path in find_archives([directory]))
        print_line(f"\n## Scans of {archives:,} archives, {archives * count:,} events, {size / 1e6:,.0f} MB\n")
        with places() as found:
            for executor in found.values():
                list(scan(executor, nothing, range(50)))
            taken = measure(directory, found)
            call_s = seconds(lambda: list(scan(found["Dask, 2 workers"], nothing, range(CALLS))))[0] / CALLS
        print_line(f"| scan | {' | '.join(found)} |\n|---|{'---|' * len(found)}")
        for name in ("stats", "verify"):
            one = taken[name, "1 process"]
            cells = (f"{taken[name, place]:.1f} s ({one / taken[name, place]:.2f} x)" for place in found)
            print_line(f"| {name} | {' | '.join(cells)} |")
        print_line(f"\nA call of the cluster without work: {call_s * 1000:.2f} ms")
        for name in ("stats", "verify"):
            reckon(name, size / taken[name, "1 process"], call_s)


def main() -> None:
    archives, count = (int(number) for number in islice([*sys.argv[2:], "1000", "500"], 2))
    scan_table(archives, count, Path(sys.argv[1]) if len(sys.argv) > 1 else None)


if __name__ == "__main__":
    main()
