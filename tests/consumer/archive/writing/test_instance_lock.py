import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consumer.archive import naming
from consumer.archive.layout import Layout
from consumer.archive.writing import instance_lock as instance_locks
from consumer.archive.writing import orphans
from consumer.archive.writing.archive_log import ArchiveLog
from consumer.archive.writing.finding import Finding
from consumer.archive.writing.instance_lock import InstanceLock, purpose_of
from consumer.archive.writing.orphans import RECOVERING
from consumer.disk.durable import Disk
from consumer.errors import Exit, Fatal
from tests.support import archives
from tests.support.archive_logs import archive_log, some
from tests.support.disk import ShadowDisk


async def take(directory: Path, disk: Disk | None = None, instance: str = "one") -> InstanceLock:
    return await InstanceLock.acquire(disk or Disk(), Layout(directory), instance)


async def test_the_lock_makes_the_directory_and_counts_runs_that_did_not_end_cleanly(tmp_path: Path) -> None:
    for unclean in range(3):
        instance_lock = await take(tmp_path / "a" / "b")
        assert instance_lock.unclean == unclean
        instance_lock.release()
    instance_lock = await take(tmp_path / "a" / "b")
    instance_lock.end(consumed=False)
    instance_lock.release()
    instance_lock = await take(tmp_path / "a" / "b")
    assert instance_lock.unclean == 3
    instance_lock.end(consumed=True)
    instance_lock.release()
    instance_lock = await take(tmp_path / "a" / "b")
    assert instance_lock.unclean == 0
    instance_lock.release()


async def test_a_run_that_never_consumed_keeps_the_events_that_may_be_redelivered(tmp_path: Path) -> None:
    """A crash, then a start that found no broker: the window before the crash is still unacknowledged."""
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    one.roll("stop")
    one.ledger.update(running=True)
    for consumed, settled, unsettled in [
        (False, False, True),
        (True, False, True),
        (True, True, True),
        (False, False, False),
    ]:
        instance_lock = await take(tmp_path)
        assert (instance_lock.unsettled, instance_lock.settled_sequence) == (unsettled, 0 if unsettled else 1)
        instance_lock.end(consumed, settled)
        instance_lock.release()


async def test_the_begins_of_generations_are_kept_until_a_clean_end(tmp_path: Path) -> None:
    for settled, kept in ((False, ((3, 7),)), (True, ())):
        instance_lock = await take(tmp_path)
        instance_lock.ledger.update(begins=((3, 7),))
        instance_lock.end(consumed=True, settled=settled)
        instance_lock.release()
        instance_lock = await take(tmp_path)
        assert instance_lock.ledger.state.begins == kept
        instance_lock.release()


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(bytes(300))], ids=["gone", "zeros"])
async def test_after_a_lost_ledger_redeliveries_are_expected(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """Zeros: what some file systems leave of a file after a power cut."""
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    damage(one.ledger.path)
    instance_lock = await take(tmp_path)
    assert instance_lock.unsettled
    instance_lock.release()


async def test_after_another_instance_rewrote_the_ledger_redeliveries_are_expected(tmp_path: Path) -> None:
    """The new ledger of a dead instance looked like that of one which had stopped cleanly."""
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    assert one.writer is not None
    one.writer.abandon()
    one.ledger.path.unlink()
    (await take(tmp_path, instance="two")).release()
    assert one.ledger.path.exists()
    instance_lock = await take(tmp_path)
    assert instance_lock.unsettled
    instance_lock.release()


async def test_if_the_ledger_did_not_record_the_last_run_redeliveries_are_expected(tmp_path: Path) -> None:
    """A disk without free inodes accepted the batches, and the ledger still recorded the clean stop of the run before."""
    instance_lock = await take(tmp_path)
    instance_lock.end(consumed=True, settled=True)
    instance_lock.release()
    ended = instance_lock.ledger.path.read_bytes()
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    assert one.writer is not None
    one.writer.abandon()
    one.ledger.path.write_bytes(ended)
    instance_lock = await take(tmp_path)
    assert instance_lock.unsettled
    instance_lock.release()


async def test_before_the_first_life_of_an_instance_nothing_can_come_again(tmp_path: Path) -> None:
    archive_log(tmp_path, instance="other").append(some(0, 2))
    instance_lock = await take(tmp_path)
    assert not instance_lock.unsettled
    instance_lock.release()


async def test_a_second_claim_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance_locks, "LOCK_S_MAX", 0.0)
    first = await take(tmp_path)
    with pytest.raises(Fatal, match=r"another archive\.instance") as caught:
        await take(tmp_path)
    assert caught.value.exit is Exit.INSTANCE
    first.release()
    (await take(tmp_path)).release()


async def test_archives_that_earlier_runs_left_are_recovered(tmp_path: Path) -> None:
    for instance in ("one", "dead"):
        one = archive_log(tmp_path, instance=instance)
        one.append(some(0, 2))
        assert one.writer is not None
        one.writer.abandon()
    instance_lock = await take(tmp_path)
    assert not list(tmp_path.glob("*.open"))
    assert len(archives.events(tmp_path)) == 4
    instance_lock.release()


async def test_an_archive_that_cannot_be_recovered_now_is_adopted(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    assert one.writer is not None
    one.writer.abandon()
    disk = ShadowDisk(tmp_path)
    disk.step = lambda name: (_ for _ in ()).throw(OSError(28, "No space left on device"))  # type: ignore[method-assign]
    instance_lock = await take(tmp_path, disk)
    assert instance_lock.deferred == [one.writer.path]
    instance_lock.release()


async def test_a_directory_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write anywhere, so the answer of access(2) is played."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(Fatal, match="not writable; make it writable for user") as caught:
        await take(tmp_path)
    assert caught.value.exit is Exit.DIRECTORY


@pytest.mark.parametrize("place", ["file", "file/below"])
async def test_a_file_in_the_place_of_the_directory_is_an_error(tmp_path: Path, place: str) -> None:
    """The advice was to make it writable."""
    (tmp_path / "file").touch()
    with pytest.raises(Fatal, match="it, or a part of its path, is not a directory; name a directory") as caught:
        await take(tmp_path / place)
    assert caught.value.exit is Exit.DIRECTORY


async def test_a_lock_that_is_a_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "one.lock").mkdir()
    with pytest.raises(Fatal) as caught:
        await take(tmp_path)
    assert caught.value.exit is Exit.DIRECTORY


async def test_a_claim_waits_as_long_as_another_instance_recovers_our_archives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recovery of large archives takes longer than a process that is about to end."""
    logged: list[str] = []
    monkeypatch.setattr(instance_locks, "LOCK_S_MAX", 0.3)
    monkeypatch.setattr(instance_locks.log, "emit", lambda event, **_: logged.append(event.name))
    disk = Disk()
    lock = disk.acquire(naming.lock_path(tmp_path, "one"), RECOVERING)
    assert lock is not None
    waiting = asyncio.create_task(take(tmp_path))
    async with asyncio.timeout(30):
        while logged.count("recovery_awaited") < 5 and not waiting.done():  # one for each try: longer than LOCK_S_MAX
            await asyncio.sleep(0.01)
    assert not waiting.done()
    disk.close(lock)
    (await waiting).release()
    held = disk.acquire(naming.lock_path(tmp_path, "one"), "running")
    assert held is not None
    with pytest.raises(Fatal, match="belongs to another process"):
        await take(tmp_path)
    disk.close(held)


async def test_recovery_of_another_instance_is_named_in_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = archive_log(tmp_path, instance="two")
    other.append(some(0, 1))
    assert other.writer is not None
    other.writer.abandon()
    purposes: list[str] = []
    recover_own = orphans.recover_own

    def recover(*arguments: Any) -> Iterator[Finding]:
        if arguments[3] == "two":
            purposes.append(purpose_of(naming.lock_path(tmp_path, "two")))
        return recover_own(*arguments)

    monkeypatch.setattr(orphans, "recover_own", recover)
    (await take(tmp_path)).release()
    assert purposes == [RECOVERING]


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 41)


SEALED = b"20250101T000000.000000Z-20250101T000000.000000Z-one-00000041.kvp.zst"


@pytest.mark.parametrize(
    ("name", "make"),
    [
        (SEALED, os.mkfifo),
        (SEALED, lambda path: path.symlink_to("/dev/zero")),
        (SEALED, Path.mkdir),
        (b"\xe9t\xe9-" + SEALED, Path.touch),
        (b"one.ledger", sparse),
        (b"one.committed", sparse),
        (b"two.ledger", sparse),
    ],
    ids=["fifo", "endless", "directory", "latin-1", "huge ledger", "huge watermark", "huge ledger of another"],
)
async def test_foreign_files_with_names_of_deedbox_do_not_prevent_the_start(
    tmp_path: Path, name: bytes, make: Callable[[Path], None]
) -> None:
    (tmp_path / "two-00000001.kvp.zst.open").touch()
    make(tmp_path / os.fsdecode(name))
    instance_lock = await asyncio.wait_for(take(tmp_path), 10)
    one = ArchiveLog(Disk(), archive_log(tmp_path).settings, instance_lock.ledger)
    assert one.append(some(0, 1)).events == 1
    one.roll("stop")
    instance_lock.release()


@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
async def test_a_process_that_has_lost_its_lock_file_opens_no_archive_and_leaves_the_ledger_alone(
    tmp_path: Path, replaced: bool
) -> None:
    instance_lock = await take(tmp_path)
    one = ArchiveLog(Disk(), archive_log(tmp_path).settings, instance_lock.ledger, guard=instance_lock.check)
    one.append(some(0, 1))
    naming.lock_path(tmp_path, "one").unlink()
    if replaced:
        other = await take(tmp_path)
        other.ledger.update(unclean=5)
    one.append(some(1, 1))
    one.roll("stop")
    with pytest.raises(Fatal, match="another process may have instance 'one'") as caught:
        one.append(some(2, 1))
    before = instance_lock.ledger.path.read_bytes()
    instance_lock.end(consumed=True, settled=True)
    assert (caught.value.exit, instance_lock.ledger.path.read_bytes()) == (Exit.INSTANCE, before)
    instance_lock.release()


async def test_a_removed_directory_is_an_error_of_the_disk_and_not_of_the_lock(tmp_path: Path) -> None:
    instance_lock = await take(tmp_path / "a")
    shutil.rmtree(tmp_path / "a")
    instance_lock.check()
    instance_lock.release()


async def test_a_recovery_during_writing_does_not_change_the_directories_that_the_writer_must_sync(
    tmp_path: Path,
) -> None:
    """The writer thread iterates over them, and a directory that another thread removes from the set is not synced any more."""
    writers = Disk()
    instance_lock = await take(tmp_path, writers)
    other = archive_log(tmp_path, instance="two")
    other.append(some(0, 1))
    assert other.writer is not None
    other.writer.abandon()
    writers.unsynced[tmp_path] = None  # the writer has renamed a file in it, and syncs it next
    await asyncio.to_thread(instance_lock.recover_others, Disk())
    assert (list(writers.unsynced), archives.events(tmp_path)) == ([tmp_path], some(0, 1))
    instance_lock.release()
