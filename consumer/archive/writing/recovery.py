"""Recover an open archive after a crash: a torn end, a writer that ended or gave it up, damage in the middle.

Invariants: no whole batch is left out, and no byte is lost: torn ends are kept as `….torn`, damaged originals as
`….damaged`. An archive that cannot be recovered now (a full disk) stays unchanged and is reported as deferred. The caller holds the
lock of the instance; an open archive whose lock is free then has no writer.
"""

import os
from pathlib import Path

from codec.errors import CodecError
from codec.gap import Gap, GapKind
from consumer.archive import naming
from consumer.archive.layout import Layout
from consumer.archive.reading.losses import Expected, losses
from consumer.archive.reading.survey import Survey, survey
from consumer.archive.watermark import read_watermark
from consumer.archive.writing.finding import Abandoned, Finding, Outcome
from consumer.archive.writing.rebuild import index_of, rebuild
from consumer.archive.writing.sealing import Sealed, digest, publish
from consumer.archive.writing.torn import cut_torn_end, is_regular, keep_aside
from consumer.disk.durable import Disk

REPAIRING_SUFFIX = ".repairing"  # of the new file of a repair, until it is complete


def recover(disk: Disk, layout: Layout, path: Path, abandoned: Abandoned | None = None) -> Finding:
    """Seal an open archive that no process writes any more. `abandoned`: the facts that the writer recorded."""
    try:
        fd = disk.open(path)
    except FileNotFoundError:
        return Finding(path, Outcome.GONE, reason="sealed in the meantime")
    except OSError as error:
        return Finding(path, Outcome.DEFERRED, reason=str(error))
    try:
        return _recover_locked(disk, layout, fd, path, abandoned)
    except (OSError, CodecError) as error:  # CodecError: the footer of a foreign archive may be too large
        return Finding(path, Outcome.DEFERRED, reason=str(error))
    finally:
        disk.close(fd)


def _recover_locked(disk: Disk, layout: Layout, fd: int, path: Path, abandoned: Abandoned | None) -> Finding:
    if not disk.try_lock(fd):
        return Finding(path, Outcome.HELD, reason="another process holds its lock")
    opened = os.fstat(fd)
    found = survey(path, _durable_bytes(opened, abandoned))
    if found.file != (opened.st_dev, opened.st_ino):
        return Finding(path, Outcome.DEFERRED, reason="replaced by another file while it was read")
    return _seal(disk, layout, fd, found, abandoned.events if abandoned else 0)


def _durable_bytes(opened: os.stat_result, abandoned: Abandoned | None) -> int | None:
    """How many bytes of the file are known to be durable; None if this process did not write it, or if it is sealed already."""
    if abandoned is None or abandoned.file != (opened.st_dev, opened.st_ino) or opened.st_nlink > 1:
        return None
    return abandoned.committed


def _seal(disk: Disk, layout: Layout, fd: int, found: Survey, committed: int) -> Finding:
    if newer := next((gap for gap in found.gaps if gap.kind is GapKind.NEWER), None):
        return Finding(found.path, Outcome.DEFERRED, found.events, found.gaps, reason=newer.reason)
    if not found.batches:
        return _set_empty_aside(disk, found, _lost(found, committed))
    if found.damaged and found.seal is None:
        return _rebuild(disk, layout, found, committed)
    lost = _lost(found, committed) if found.seal is None else []
    if found.seal is None:
        cut_torn_end(disk, fd, found)
        disk.append(fd, index_of(found).encode_end(len(found.head_raw), lost))
    disk.sync(fd)  # also if the footer was there already: it is unknown whether it was synced
    sealed = _publish(disk, layout, fd, found)
    return Finding(found.path, Outcome.SEALED, found.events, found.gaps, sealed, lost=lost)


def _set_empty_aside(disk: Disk, found: Survey, lost: list[Gap]) -> Finding:
    if found.size > len(found.head_raw):
        keep_aside(disk, found.path, 0, found.size)
    disk.remove(found.path)
    return Finding(found.path, Outcome.EMPTY, 0, found.gaps, lost=lost)


def _lost(found: Survey, committed: int) -> list[Gap]:
    """The gaps of an open archive that may hold acknowledged events, for the footer. `committed`: events that are known to be committed."""
    assert found.id is not None, "an open archive has a name"
    mark = read_watermark(found.path.parent, found.id.instance)
    if mark is not None and mark.sequence == found.id.sequence:
        committed = max(committed, mark.events)
    return losses(found, Expected(committed, exact=False) if committed else None, sealed=False)


def _publish(disk: Disk, layout: Layout, fd: int, found: Survey) -> Sealed:
    target = _target(layout, found)
    if is_regular(target) and target.samefile(
        found.path
    ):  # not if the target is a link to the file: the link alone would remain
        disk.remove(found.path)  # a crash between link and unlink left both names
    else:
        publish(disk, fd, found.path, target)
    return _sealed(found, target)


def _target(layout: Layout, found: Survey) -> Path:
    assert found.id is not None, "an open archive has a name"
    headers = [batch.header for batch in found.batches]
    first, last = min(h.first_arrived_us for h in headers), max(h.last_arrived_us for h in headers)
    return layout.directory / naming.sealed_name(layout.template, found.id, first, last)


def _sealed(found: Survey, target: Path) -> Sealed:
    assert found.id is not None, "see _target"
    return Sealed(found.id, target, found.end, target.stat().st_size, digest(target))


def _rebuild(disk: Disk, layout: Layout, found: Survey, committed: int) -> Finding:
    """Write the archive again without its damage, and seal it; the original is kept."""
    target, lost = _target(layout, found), _lost(found, committed)
    if not _is_rebuilt(target, found):  # otherwise an earlier repair ended after this step
        fresh = found.path.with_name(found.path.name + REPAIRING_SUFFIX)
        rebuild(disk, found, fresh, lost)
        disk.make_directory(target.parent)
        disk.rename(fresh, target)
    disk.rename(found.path, found.path.with_name(found.path.name + naming.DAMAGED_SUFFIX))
    return Finding(found.path, Outcome.REPAIRED, found.events, found.gaps, _sealed(found, target), lost=lost)


def _is_rebuilt(target: Path, found: Survey) -> bool:
    if not is_regular(target):
        return False
    footer = survey(target).footer
    return footer is not None and footer.rewritten_from == digest(found.path)
