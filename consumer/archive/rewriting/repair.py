"""Rebuild sealed archives that are damaged: whole batches are kept, and the footer names the lost events permanently.

Invariants: at every moment the archive exists under its name; the original is kept as `….damaged`; an archive that a newer
Deedbox wrote is not changed; a gap that an earlier repair named stays in the footer.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from codec.archive import Previous
from codec.gap import Gap, GapKind
from consumer.archive import naming
from consumer.archive.ledger import read
from consumer.archive.listing import find_archives
from consumer.archive.location import Location
from consumer.archive.reading.losses import Expected, losses
from consumer.archive.reading.reader import open_at
from consumer.archive.reading.survey import Survey, survey, with_indexed
from consumer.archive.reading.tombstones import LEVELS_MAX, SUFFIX
from consumer.archive.watermark import read_watermark
from consumer.archive.writing.finding import Finding, Outcome
from consumer.archive.writing.rebuild import rebuild
from consumer.archive.writing.recovery import REPAIRING_SUFFIX
from consumer.archive.writing.torn import free_name
from consumer.disk.durable import Disk, held

NOTHING_LEFT = (
    "no batch of it is whole, so nothing can be repaired: look for a copy; if there is none, move the file out of the "
    "directory, and acknowledge the missing archive with `deedbox verify --acknowledge`"
)


def repair_sealed(disk: Disk, path: Path) -> Finding:
    """Rebuild a sealed archive that is not whole. The original is kept. Raises OSError.

    The repair holds the lock under which `compact` rewrites archives, because both would write the same new file.
    """
    found = survey(path)
    outcome, reason = judge_sealed(path, found)
    if outcome is Outcome.REPAIRED:
        with held(disk, path.with_name(f"{found.id}{SUFFIX}.lock")) as free:
            if not free:
                reason = "another process repairs or compacts it, or deletes from it: try again when it has ended"
                return Finding(path, Outcome.DEFERRED, found.events, found.gaps, reason=reason)
            found = survey(path)
            outcome, reason = judge_sealed(path, found)
            if outcome is Outcome.REPAIRED:
                found = with_indexed(found)
                lost = _rebuild(disk, path, found)
                return Finding(path, outcome, found.events, found.gaps, lost=lost)
    return Finding(path, outcome, found.events, [] if outcome is Outcome.WHOLE else found.gaps, reason=reason)


def losses_of(found: Survey) -> list[Gap]:
    """The events that a repair of a sealed archive cannot keep, as far as they are known. `found`: a survey from `with_indexed`."""
    return losses(found, _expected(found, _named(found)), sealed=True)


def _rebuild(disk: Disk, path: Path, found: Survey) -> list[Gap]:
    fresh = path.with_name(path.name + REPAIRING_SUFFIX)
    named = _named(found)
    lost = losses_of(found)
    rebuild(disk, found, fresh, lost, _original(found, named, lost))
    disk.replace_keeping(path, fresh, free_name(path.with_name(path.name + naming.DAMAGED_SUFFIX)))
    return lost


def judge_sealed(path: Location, found: Survey) -> tuple[Outcome, str]:
    """The outcome of a repair of a sealed archive (WHOLE, REPAIRED or DEFERRED), and the reason if it would change nothing."""
    if isinstance(path, Path) and path.is_symlink():
        return Outcome.DEFERRED, "is a symbolic link: repair the file that it names"
    if newer := next((gap for gap in found.gaps if gap.kind is GapKind.NEWER), None):
        return Outcome.DEFERRED, newer.reason
    if found.whole:
        return Outcome.WHOLE, ""
    if not with_indexed(found).batches:
        return Outcome.DEFERRED, NOTHING_LEFT
    if not found.id:
        return Outcome.DEFERRED, "neither its name nor its head names an instance and a sequence"
    return Outcome.REPAIRED, ""


def _expected(found: Survey, named: Previous | None) -> Expected | None:
    """How many events the archive held, according to its footer, the archive after it, the ledger or the watermark."""
    if found.counted is not None:
        return Expected(found.counted, exact=True)
    if named and named.events:
        return Expected(named.events, exact=True)
    assert found.id is not None, "see judge_sealed"
    root = _root(found.location, found.id.instance)
    mark = read_watermark(root, found.id.instance) if isinstance(root, Path) else None
    return Expected(mark.events, exact=False) if mark and mark.sequence == found.id.sequence else None


def _original(found: Survey, named: Previous | None, lost: Sequence[Gap]) -> str | None:
    """The digest of the file as it was sealed; None if this may be another file.

    If the footer is whole and all batches of the footer are there, it is the file that was sealed under its name.
    """
    if found.footer and found.footer.rewritten_from:
        return found.footer.rewritten_from
    return named.sha256 if named and found.footer and not lost else None


def _root(path: Location, instance: str) -> Location:
    """The directory of the ledger; if there is no ledger, that of the archive. In object storage, the prefix above that of the day."""
    if not isinstance(path, Path):
        return path.parent.parent
    above = list(path.absolute().parents)[:LEVELS_MAX]
    return next((parent for parent in above if (parent / f"{instance}.ledger").exists()), path.parent)


def _named(found: Survey) -> Previous | None:
    """Name, digest and events of the archive as the ledger or the head of a later archive has them."""
    assert found.id is not None, "see judge_sealed"
    root = _root(found.location, found.id.instance)
    state = read(root / f"{found.id.instance}.ledger") if isinstance(root, Path) else None
    for previous in chain([state.previous if state else None], _heads_after(root, found.id)):
        if previous and naming.parse_sealed(Path(previous.archive)) == found.id:
            return previous
    return None


def _heads_after(root: Location, archive: naming.ArchiveId) -> Iterator[Previous | None]:
    for path in find_archives([root]):
        later = naming.parse_sealed(path) or naming.parse_open(path)
        if later and later.instance == archive.instance and later.sequence > archive.sequence:
            with open_at(path) as one:
                yield one.head.previous if one.head else None
