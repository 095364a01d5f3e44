"""Open archives of runs that have ended: find them, recover them, and note them in the ledger of their instance.

Invariants: the lock of the instance is held; archives are recovered oldest first. The ledger is optional: if the disk
refuses to write it, recovery continues without it.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from consumer.archive import naming
from consumer.archive.layout import Layout
from consumer.archive.ledger import Ledger, archives_below
from consumer.archive.reading.survey import survey
from consumer.archive.writing.finding import Abandoned, Finding
from consumer.archive.writing.recovery import recover
from consumer.archive.writing.sealing import Sealed, digest
from consumer.disk.durable import Disk, held

RECOVERING = "recovering"  # the purpose of a lock that another instance holds to recover the archives


def recover_own(disk: Disk, layout: Layout, ledger: Ledger, instance: str) -> Iterator[Finding]:
    """Recover the open archives of one instance whose lock the caller holds, oldest first, and note them in its ledger."""
    _finish_seals(disk, layout, ledger)
    paths = orphans(layout.directory, instance)
    if paths:
        _note(
            ledger.update
        )  # notes the sequences in the directory, because recovery removes an empty archive and its sequence with it
    for path in paths:
        finding = recover(disk, layout, path, known_from_ledger(path, ledger))
        if finding.sealed is not None:
            _note(partial(note_sealed, ledger, finding.sealed))
        yield finding


def known_from_ledger(path: Path, ledger: Ledger) -> Abandoned:
    """An open archive with the number of its committed events in the ledger."""
    archive = naming.parse_open(path)
    return Abandoned(path, events=ledger.state.committed_events(archive.sequence) if archive else 0)


def _finish_seals(disk: Disk, layout: Layout, ledger: Ledger) -> None:
    """Finish seals that a run did not note in the ledger: sync the directories of the archives first, then note the newest archive.

    If the disk refuses, the directories stay in `Disk.unsynced`.
    """
    for _, path in ledger.not_noted:
        above = [parent for parent in path.parents if layout.directory in (parent, *parent.parents)]
        disk.unsynced |= dict.fromkeys(above)
    with suppress(OSError):
        disk.sync_waiting()
        for archive, path in ledger.not_noted[-1:]:
            found = survey(path)
            original = found.footer.rewritten_from if found.footer else None  # it may have been repacked meanwhile
            ledger.note_sealed(archive, path.name, original or digest(path), found.end)


def note_sealed(ledger: Ledger, sealed: Sealed) -> None:
    """Note an archive in the ledger of its instance. Raises OSError."""
    ledger.note_sealed(sealed.archive, sealed.path.name, sealed.sha256, sealed.events)


def _note(step: Callable[[], None]) -> None:
    with suppress(OSError):
        step()


def recover_others(disk: Disk, layout: Layout, own: str) -> Iterator[Finding]:
    """Recover the open archives of all other instances of the directory that no process holds."""
    instances = {archive.instance for path in orphans(layout.directory) if (archive := naming.parse_open(path))} - {own}
    below = archives_below(layout.directory) if instances else {}
    for instance in sorted(instances):
        with held(disk, naming.lock_path(layout.directory, instance), RECOVERING) as free:
            if free:
                yield from recover_own(disk, layout, Ledger(disk, layout.directory, instance, below), instance)


def orphans(directory: Path, instance: str | None = None) -> list[Path]:
    """The open archives of one instance or of all instances, oldest first."""
    paths = directory.glob("*" + naming.OPEN_SUFFIX)
    found = [(archive, path) for path in paths if (archive := naming.parse_open(path))]
    return [path for archive, path in sorted(found) if instance in (None, archive.instance)]
