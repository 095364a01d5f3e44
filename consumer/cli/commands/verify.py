"""The command `verify`: which archives to check how, what to print, and the exit status."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from codec.counted import counted
from codec.event import format_time
from consumer.archive.checking import report
from consumer.archive.checking.acknowledged import acknowledge, separate_acknowledged
from consumer.archive.checking.check import Check
from consumer.archive.checking.document import Document
from consumer.archive.checking.proofs import Proofs
from consumer.archive.checking.report import Totals
from consumer.archive.checking.verdict import Verdict
from consumer.archive.checking.verify import Mapped, Select, Verification, every
from consumer.archive.digests.signing import load_public_keys
from consumer.archive.listing import file_of, find_archives, size_of
from consumer.archive.location import Location
from consumer.archive.reading.in_threads import in_threads
from consumer.cli.printing import print_line, print_unchanged, report_error
from consumer.cli.progress import progress
from consumer.config.user_folders import state_folder
from consumer.disk.durable import Disk
from consumer.errors import Exit
from consumer.objects.url import ObjectUrl
from consumer.query.cluster import shared
from consumer.query.executors import is_remote, workers
from consumer.query.prefetch import scan_groups


@dataclass(frozen=True, slots=True)
class Options:
    """`deep`: read every byte; None: if all paths are local. `budget`: bytes to read in this run; None: all. `public_keys`: files of keys.

    `reason`: acknowledge the faults with this reason, which may be empty; None: do not acknowledge. `workers`: processes; None: chosen
    automatically. `cluster`: the address of a Dask scheduler instead.
    """

    format: Literal["text", "jsonl", "json"] = "text"
    deep: bool | None = None
    budget: int | None = None
    public_keys: Sequence[Path] = ()
    reason: str | None = None
    workers: int | None = None
    cluster: str | None = None


def verify_archives(paths: Sequence[Location], options: Options) -> Exit:
    """Verify and report. DAMAGED if something is missing or wrong. Raises DeedboxError and OSError."""
    keys = load_public_keys(options.public_keys) if options.public_keys else None
    paths = paths if options.cluster is None else shared(paths)
    has_url = any(isinstance(path, ObjectUrl) for path in paths)
    deep = not has_url if options.deep is None else options.deep
    proofs = None if options.budget is None else _proofs(paths, options.budget)
    select: Select = proofs.select if proofs else every if deep else _none
    with _mapped(paths, deep, has_url, options) as (mapped, advance):
        run = Verification(paths, mapped, keys, select)
        complete = _show(run, options, proofs, advance)
    for url in run.empty:
        report_error(f"{url}: no archive is there; if archives were shipped to it, correct the URL")
    return Exit.OK if complete else Exit.DAMAGED


def _none(_: Sequence[Location]) -> frozenset[Location]:
    return frozenset()


def _proofs(paths: Sequence[Location], budget: int) -> Proofs:
    return Proofs(Disk(), paths, state_folder() / "verify", budget, time.time_ns() // 1000)


@contextmanager
def _mapped(
    paths: Sequence[Location], deep: bool, has_url: bool, options: Options
) -> Iterator[tuple[Mapped, Callable[[int], None]]]:
    """A function that checks archives elsewhere and ahead, and one that shows the progress.

    Decoding needs processes; heads and footers, and objects, which wait for answers, need threads.
    """
    amount = sum(map(size_of, find_archives(list(paths)))) if deep else 0
    with progress("verifying", amount, lines=True) as advance:
        if options.cluster is None and options.workers is None and (has_url or not deep):
            yield in_threads, advance
            return
        with workers(amount, options.workers, options.cluster) as executor:
            yield partial(_verdicts, executor), advance


def _verdicts(
    executor: Executor | None, work: Callable[[Check], Verdict], checks: Iterable[Check]
) -> Generator[Verdict, None, None]:
    """The verdicts of the archives, in order. Device and inode are those of this machine: on others, the same may name another file."""
    for verdict in scan_groups(executor, work, checks, _size):
        if is_remote(executor) and isinstance(verdict.path, Path):
            verdict.file = file_of(verdict.path)
        yield verdict


def _size(check: Check) -> int:
    return size_of(check.location)


def _show(run: Verification, options: Options, proofs: Proofs | None, advance: Callable[[int], None]) -> bool:
    total, document = Totals(), Document()
    for verdict in run.verdicts():
        if options.reason is not None and (verdict.faults or verdict.acknowledged):
            _acknowledge(options.reason, verdict)
        total.add(verdict)
        document.add(verdict)
        if proofs:
            proofs.note(verdict)
        if options.format != "json":
            _print(verdict, options.format)
        advance(verdict.size)
    if proofs:
        proofs.save()
        run.proof.budget = _budget_line(proofs)
    if options.format == "text":
        report.show_totals(run.proof, total, print_line)
    elif options.format == "json":
        print_unchanged(document.encode(total, run.proof))
    return total.complete


def _print(verdict: Verdict, format: str) -> None:
    if format == "jsonl":
        report.print_json(verdict, print_unchanged)
    else:
        report.print_text(verdict, print_line)


def _budget_line(proofs: Proofs) -> str:
    waiting = f"budget: {counted(proofs.never, 'archive')} not read as a whole yet, or changed since"
    return f"{waiting}; all others read since {format_time(proofs.oldest_us)}" if proofs.oldest_us else waiting


def _acknowledge(reason: str, verdict: Verdict) -> None:
    acknowledge(Disk(), verdict, reason, format_time(time.time_ns() // 1000))
    separate_acknowledged(verdict)
