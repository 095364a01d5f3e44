"""The command `compact`: remove deleted events from sealed archives."""

from collections.abc import Sequence
from pathlib import Path

from codec.counted import counted
from consumer.archive.outcome import outcome
from consumer.archive.rewriting.compact import CompactionOutcome, compact
from consumer.cli.printing import print_line
from consumer.disk.durable import Disk
from consumer.errors import Exit


def compact_archives(paths: Sequence[Path]) -> Exit:
    """Compact and report. DAMAGED if an archive still holds the content of deleted events."""
    status, count = Exit.OK, 0
    for count, done in enumerate(compact(Disk(), paths), 1):  # noqa: B007 -- used after the loop
        reason = f": {done.reason}" if done.reason else ""
        change = f": {counted(done.events, 'event')}" if done.events else ""
        change += f", {_difference(done.saved)}" if done.outcome is CompactionOutcome.COMPACTED else ""
        print_line(f"{done.outcome}: {done.path}{change}{reason}")
        status = Exit.DAMAGED if done.outcome.is_failure else status
    print_line(outcome(count, status != Exit.OK, "compacted"))
    return status


def _difference(saved: int) -> str:
    return f"{counted(abs(saved), 'byte')} {'smaller' if saved >= 0 else 'larger'}"
