"""The command `fetch`: restore archives from object storage."""

import time
from collections.abc import Sequence
from pathlib import Path

from codec.counted import counted
from consumer.cli.printing import print_line, report_error
from consumer.disk.durable import Disk
from consumer.errors import Exit
from consumer.query.when import parse_when
from consumer.ship.destination_urls import destination_urls
from consumer.ship.restore import Restored, RestoreOutcome, Restorer
from consumer.ship.restore_plan import Window, instances_of, restore_plan
from consumer.ship.restored_sequences import note_sequences, refuse_running


def fetch_archives(urls: Sequence[str], directory: Path, since: str | None, until: str | None) -> Exit:
    """Restore, and print a line for each object. DAMAGED if one could not be restored. Raises DeedboxError and OSError."""
    now_us = time.time_ns() // 1000
    window = Window(
        None if since is None else parse_when(since, now_us),
        None if until is None else parse_when(until, now_us, end=True),
    )
    disk = Disk()
    plan = restore_plan(destination_urls(urls, directory), directory, window)
    refuse_running(disk, directory, instances_of(plan.archives))
    disk.make_directory(directory.absolute())
    note_sequences(disk, directory, plan.highest)
    results = []
    for result in Restorer(disk, directory).run(plan):
        results.append(result)
        if result.outcome is RestoreOutcome.FAILED:
            report_error(f"{result.copy.url}: not restored: {result.reason}")
        elif result.outcome is RestoreOutcome.RESTORED:
            print_line(f"restored: {result.copy.path}")
    return _report(results, directory, skipped=len(plan.archives) == 0)


def _report(results: Sequence[Restored], directory: Path, skipped: bool) -> Exit:
    counts = {outcome: sum(one.outcome is outcome for one in results) for outcome in RestoreOutcome}
    failed = counts[RestoreOutcome.FAILED]
    state = "no archive in this span" if skipped else "NOT all restored" if failed else "all restored"
    missing = f", {counted(failed, 'file')} not restored" if failed else ""
    print_line(
        f"{directory}: {state}: {counted(counts[RestoreOutcome.RESTORED], 'file')} restored, "
        f"{counts[RestoreOutcome.THERE]} were there{missing}; `deedbox verify {directory}` checks the directory"
    )
    return Exit.DAMAGED if failed else Exit.OK
