"""The commands `verify` and `verify --acknowledge`."""

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Literal

from codec.event import format_time
from consumer.archive.checking import report as checking
from consumer.archive.checking.acknowledged import acknowledge, separate_acknowledged
from consumer.archive.checking.verdict import Verdict
from consumer.archive.listing import file_of, find_archives, size_of
from consumer.archive.location import Location
from consumer.cli.printing import print_line, print_unchanged
from consumer.cli.progress import progress
from consumer.disk.durable import Disk
from consumer.errors import Exit
from consumer.query.cluster import shared
from consumer.query.executors import is_remote, workers
from consumer.query.prefetch import scan


def verify_archives(
    paths: Sequence[Location], wanted: int | None, format: Literal["text", "jsonl"], reason: str | None = None,
    cluster: str | None = None,
) -> Exit:  # fmt: skip
    """Verify and report. DAMAGED if something is missing or wrong.

    `wanted`: worker processes; None: chosen automatically. `reason`: acknowledge the faults with this reason, which may be empty;
    None: do not acknowledge. `cluster`: the address of a Dask scheduler, whose workers read. Raises DeedboxError and OSError.
    """
    paths = paths if cluster is None else shared(paths)
    amount = sum(map(size_of, find_archives(list(paths))))
    with progress("verifying", amount, lines=True) as advance, workers(amount, wanted, cluster) as executor:
        show, write = (checking.print_json, print_unchanged) if format == "jsonl" else (checking.print_text, print_line)
        sign = (lambda _: None) if reason is None else partial(_acknowledge, reason)
        complete = checking.show_verdicts(list(paths), write, show, partial(_verdicts, executor), advance, sign)
    return Exit.OK if complete else Exit.DAMAGED


def _verdicts(
    executor: Executor | None, work: Callable[[Location], Verdict], paths: Iterable[Location]
) -> Generator[Verdict, None, None]:
    """The verdicts of the archives, in order. Device and inode are those of this machine: on others, the same may name another file."""
    for verdict in scan(executor, work, paths):
        if is_remote(executor) and isinstance(verdict.path, Path):
            verdict.file = file_of(verdict.path)
        yield verdict


def _acknowledge(reason: str, verdict: Verdict) -> None:
    acknowledge(Disk(), verdict, reason, format_time(time.time_ns() // 1000))
    separate_acknowledged(verdict)
