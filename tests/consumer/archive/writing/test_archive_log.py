import errno
import os
from itertools import pairwise
from pathlib import Path

import pytest

from codec.errors import TooLarge
from consumer import log
from consumer.archive.checking.verify import verify
from consumer.archive.layout import Layout
from consumer.archive.ledger import Ledger
from consumer.archive.listing import find_archives
from consumer.archive.naming import SEQUENCE_MAX
from consumer.archive.reading.reader import ArchiveFile
from consumer.archive.writing import recovery
from consumer.archive.writing.sealing import digest
from consumer.disk.durable import Disk
from consumer.errors import Exit, Fatal, StorageFault
from tests.support import archives
from tests.support.archive_logs import archive_log, some
from tests.support.disk import ShadowDisk, fail_on


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object]]]:
    lines: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr(log, "emit", lambda event, **fields: lines.append((event.name, fields)))
    return lines


def test_no_archive_is_opened_before_there_is_something_for_it(tmp_path: Path) -> None:
    """shoebox left an empty file after every roll."""
    one = archive_log(tmp_path)
    one.roll("stop")
    assert find_archives([tmp_path]) == []


def test_archives_roll_and_name_the_one_before(tmp_path: Path, logged: list[tuple[str, dict[str, object]]]) -> None:
    one = archive_log(tmp_path, events_max=4)
    for first in range(0, 12, 2):
        one.append(some(first, 2))
    one.roll("signal")
    paths = find_archives([tmp_path])
    assert len(paths) == 3
    assert archives.events(tmp_path) == some(0, 12)
    for before, path in pairwise(paths):
        with ArchiveFile(path) as archive:
            assert archive.head is not None
            assert archive.head.previous is not None
            assert archive.head.previous.archive == before.name
            assert archive.head.previous.sha256 == digest(before)
    assert [fields["reason"] for event, fields in logged if event == "archive_sealed"] == ["count", "count", "signal"]


def test_three_rolls_in_one_microsecond_keep_three_archives(tmp_path: Path) -> None:
    """shoebox's names had a precision of a minute: of three rolls none was left."""
    one = archive_log(tmp_path, events_max=1)
    for _ in range(3):
        one.append(some(7, 1))
    one.roll("stop")
    assert len(find_archives([tmp_path])) == 3
    assert archives.events(tmp_path) == some(7, 1) * 3


def test_the_next_run_continues_with_the_next_sequence(tmp_path: Path) -> None:
    for serial in range(3):
        one = archive_log(tmp_path)
        one.append(some(serial, 1))
        one.roll("stop")
    assert [path.name[-16:-8] for path in find_archives([tmp_path])] == ["00000001", "00000002", "00000003"]


def test_a_batch_that_failed_goes_to_a_new_archive_once(
    tmp_path: Path, logged: list[tuple[str, dict[str, object]]]
) -> None:
    disk = ShadowDisk(tmp_path)
    one = archive_log(tmp_path, disk)
    one.append(some(0, 2))
    disk.fail_at = len(disk.calls) + 2  # the sync of the next append
    receipt = one.append(some(2, 2))
    assert receipt.archive.sequence == 2
    assert archives.events(tmp_path) == some(0, 4)
    assert ("archive_abandoned", "disk_error") in [(event, fields.get("reason")) for event, fields in logged]


def test_a_disk_that_accepts_no_bytes_is_reported_as_full(tmp_path: Path) -> None:
    disk = ShadowDisk(tmp_path)
    disk.append = lambda fd, raw: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(StorageFault, match="free space; consuming resumes by itself") as caught:
        archive_log(tmp_path, disk).append(some(0, 1))
    assert caught.value.reason == "disk_full"
    assert archives.events(tmp_path) == []


def test_below_the_reserve_nothing_is_begun(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    object.__setattr__(one.settings, "free_bytes_min", 1 << 60)
    with pytest.raises(StorageFault, match=r"archive\.free_bytes_min") as caught:
        one.append(some(0, 1))
    assert caught.value.reason == "disk_low"
    with pytest.raises(StorageFault):
        one.probe()
    assert find_archives([tmp_path]) == []


def test_a_probe_proves_the_disk_and_leaves_nothing(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.probe()
    assert list(tmp_path.iterdir()) == []


def test_a_start_without_a_commit_counts_as_unclean(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.ledger.update(unclean=3, running=True)
    one.append(some(0, 1))
    assert one.ledger.state.unclean == 0


def test_an_abandoned_archive_that_another_process_reads_is_recovered_later(tmp_path: Path) -> None:
    """`verify` holds a shared lock for a moment."""
    disk = ShadowDisk(tmp_path)
    one = archive_log(tmp_path, disk)
    one.append(some(0, 2))
    disk.fail_at = len(disk.calls) + 2
    monkey, disk.try_lock = disk.try_lock, lambda _fd: False  # type: ignore[method-assign]
    one.append(some(2, 2))
    disk.try_lock = monkey  # type: ignore[method-assign]
    one.recover_abandoned()
    one.roll("stop")
    assert archives.events(tmp_path) == some(0, 4)


def test_a_sequence_whose_name_exists_is_skipped(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    (tmp_path / "one-00000001.kvp.zst.open").write_bytes(b"in the way")
    assert one.append(some(0, 1)).archive.sequence == 2


def test_an_earlier_orphan_that_had_to_wait_is_tried_again(tmp_path: Path) -> None:
    earlier = archive_log(tmp_path)
    earlier.append(some(0, 2))
    assert earlier.writer is not None
    earlier.writer.abandon()
    one = archive_log(tmp_path)
    one.adopt(earlier.writer.path)
    one.append(some(2, 2))
    one.roll("stop")
    assert not list(tmp_path.glob("*.open"))
    assert archives.events(tmp_path) == some(0, 4)


def test_an_archive_without_a_batch_leaves_nothing(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    with pytest.raises(TooLarge):
        one.append([some(0, 1)[0]._replace(time_us=1 << 80)])
    one.roll("stop")
    assert not list(tmp_path.rglob("*.kvp.zst*"))


def sealed_by_another_host(path: Path) -> Path:
    """Another host does not see the lock of this one: it seals the archive as if its instance had ended."""
    disk = Disk()
    disk.try_lock = lambda _fd: True  # type: ignore[method-assign]
    sealed = recovery.recover(disk, Layout(path.parent), path).sealed
    assert sealed is not None
    return sealed.path


def test_an_archive_that_another_host_has_sealed_is_neither_written_nor_cut(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    assert one.writer is not None
    sealed = sealed_by_another_host(one.writer.path)
    before = sealed.read_bytes()
    assert one.append(some(2, 2)).archive.sequence == 2
    assert sealed.read_bytes() == before
    one.roll("stop")
    assert archives.events(tmp_path) == some(0, 4)
    assert [fault for verdict in verify([tmp_path]) for fault in verdict.faults] == []


CHANGES = {
    "removed": lambda path: path.unlink(),
    "renamed": lambda path: path.rename(path.with_name("elsewhere")),
    "replaced": lambda path: (path.rename(path.with_name("elsewhere")), path.write_bytes(b"another file")),
    "linked": lambda path: path.with_name("second name").hardlink_to(path),
    "longer": lambda path: os.truncate(path, path.stat().st_size + 10),
    "shorter": lambda path: os.truncate(path, 10),
}


@pytest.mark.parametrize("change", CHANGES)
def test_no_batch_goes_into_an_open_archive_that_was_changed(
    tmp_path: Path, change: str, logged: list[tuple[str, dict[str, object]]]
) -> None:
    """Acknowledged events were written to a file that had no name any more."""
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    assert one.writer is not None
    CHANGES[change](one.writer.path)
    assert one.append(some(2, 2)).archive.sequence == 2
    assert ("archive_abandoned", "archive_changed") in [(event, fields.get("reason")) for event, fields in logged]
    one.roll("stop")
    assert set(some(2, 2)) <= set(archives.events(tmp_path))
    lost = [(fields["archive"], fields["events"]) for event, fields in logged if event == "events_lost"]
    assert lost == ([] if change in ("linked", "longer") else [("one-00000001", 2)])


def test_a_batch_whose_file_was_removed_during_its_sync_is_not_durable(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 1))
    real = one.disk.sync

    def remove_and_sync(fd: int) -> None:
        one.disk.sync = real  # type: ignore[method-assign]
        (tmp_path / "one-00000001.kvp.zst.open").unlink()
        real(fd)

    one.disk.sync = remove_and_sync  # type: ignore[method-assign]
    assert one.append(some(1, 1)).archive.sequence == 2
    assert archives.events(tmp_path) == some(1, 1)


def test_bytes_of_another_process_are_not_cut_off(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    assert one.writer is not None
    with one.writer.path.open("ab") as file:
        file.write(b"of another process")
    raw = one.writer.path.read_bytes()
    one.writer.abandon()
    assert one.writer.path.read_bytes() == raw


def test_a_seal_that_fails_after_its_rename_cuts_nothing_off(tmp_path: Path) -> None:
    """The sync of the directory failed; the archive had its sealed name, and was cut to its last batch."""
    disk = ShadowDisk(tmp_path)
    one = archive_log(tmp_path, disk)
    one.append(some(0, 2))
    real = disk.rename

    def rename_and_break(source: Path, target: Path) -> None:
        fail_on(disk, "sync_directory")
        real(source, target)

    disk.rename = rename_and_break  # type: ignore[method-assign]
    one.roll("stop")
    assert "truncate" not in disk.calls
    assert [fault for verdict in verify([tmp_path]) for fault in verdict.faults] == []
    (sealed,) = find_archives([tmp_path])
    assert list(disk.unsynced) == [sealed.parent, tmp_path]
    with pytest.raises(StorageFault):
        one.append(some(2, 2))  # its name could only be made durable after that of the sealed archive
    fail_on(disk)
    one.append(some(2, 2))
    assert disk.unsynced == {}


def test_an_archive_is_sealed_even_if_it_cannot_be_made_read_only(
    tmp_path: Path, logged: list[tuple[str, dict[str, object]]]
) -> None:
    disk = ShadowDisk(tmp_path)
    disk.make_read_only = lambda _fd: (_ for _ in ()).throw(PermissionError(1, "no"))  # type: ignore[method-assign]
    one = archive_log(tmp_path, disk)
    one.append(some(0, 2))
    one.roll("stop")
    assert [event for event, _ in logged if event.startswith("archive_")] == ["archive_opened", "archive_sealed"]
    assert [verdict.faults for verdict in verify([tmp_path])] == [[]]


def test_a_head_names_the_archive_before_it_also_if_that_is_not_sealed(tmp_path: Path) -> None:
    """`previous` names the last sealed archive only; one that was recovered late and then removed was not missed."""
    disk = ShadowDisk(tmp_path)
    one = archive_log(tmp_path, disk, events_max=2)
    for first in (0, 2, 4):
        if first == 4:  # the second archive cannot be sealed
            real, disk.rename = disk.rename, lambda *_: (_ for _ in ()).throw(OSError(5, "no"))  # type: ignore[method-assign]
        one.append(some(first, 2))
    disk.rename = real  # type: ignore[method-assign]
    one.roll("stop")
    heads = []
    for path in find_archives([tmp_path]):
        with ArchiveFile(path) as archive:
            assert archive.head is not None
            heads.append(archive.head)
    assert [(head.sequence, head.predecessor) for head in heads] == [(1, 0), (2, 1), (3, 2)]
    before = [head.previous and (head.previous.archive[-16:-8], head.previous.events) for head in heads]
    assert before == [None, ("00000001", 2), ("00000001", 2)]


def test_the_ledger_names_the_newest_archive_with_a_batch_once_and_before_append_returns(tmp_path: Path) -> None:
    disk = ShadowDisk(tmp_path)
    one = archive_log(tmp_path, disk)
    for serial in range(3):
        one.append(some(serial, 1))
        assert Ledger(Disk(), tmp_path, "one").state.committed == 1
    assert disk.calls.count("replace") == 1


def test_a_ledger_that_could_not_be_written_is_written_with_the_next_batch(tmp_path: Path) -> None:
    disk = ShadowDisk(tmp_path)
    one = archive_log(tmp_path, disk)
    fail_on(disk, "replace")
    one.append(some(0, 1))
    assert not one.ledger.path.exists()
    fail_on(disk)
    one.append(some(1, 1))
    assert b'"committed":1' in one.ledger.path.read_bytes()


def test_after_a_defect_in_the_middle_of_an_append_nothing_of_it_is_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    assert one.writer is not None

    def fail(*_: object) -> None:
        raise LookupError("a defect")

    monkeypatch.setattr(one.writer.index, "add", fail)
    with pytest.raises(LookupError):
        one.append(some(2, 2))
    assert one.writer is None
    one.append(some(2, 2))
    one.roll("stop")
    one.recover_abandoned()
    assert [verdict.faults for verdict in verify([tmp_path])] == [[], []]
    assert len(archives.events(tmp_path)) == 4


def test_without_a_sequence_left_no_archive_is_opened(tmp_path: Path) -> None:
    """Its name had a digit too many, and no reader found the events that were acknowledged."""
    tmp_path.joinpath(f"one-{SEQUENCE_MAX - 1}.kvp.zst.open").touch()
    one = archive_log(tmp_path, events_max=3)
    one.append(some(0, 3))
    with pytest.raises(Fatal, match="move away") as caught:
        one.append(some(3, 3))
    assert caught.value.exit is Exit.DIRECTORY
    assert archives.events(tmp_path) == some(0, 3)


def test_an_archive_that_could_not_be_recovered_is_tried_again_after_the_pause(tmp_path: Path) -> None:
    """The recovery was slow, and was not tried again until the next archive was opened."""
    disk = ShadowDisk(tmp_path)
    one = archive_log(tmp_path, disk)
    one.append(some(0, 2))
    now = 0.0
    one.clock = lambda: now
    disk.open = lambda _path: slow_error()  # type: ignore[method-assign]

    def slow_error() -> int:
        nonlocal now
        now += 1.0
        raise OSError(errno.EIO, "Input/output error")

    fail_on(disk, "append")
    with pytest.raises(StorageFault):
        one.append(some(2, 2))
    del disk.open
    fail_on(disk)
    one.probe()
    assert not list(tmp_path.glob("one-00000001*.open"))
    one.append(some(2, 2))
    one.roll("stop")
    assert archives.events(tmp_path) == some(0, 4)


def test_a_recovery_that_was_not_tried_at_an_open_is_tried_at_a_later_batch(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    assert one.writer is not None
    path = one.writer.path
    one.writer.abandon()
    one.writer = None
    one.adopt(path)
    now = 100.0
    one.clock = lambda: now
    one._abandoned.not_before_s = 101.0
    one.append(some(2, 2))
    assert path.exists()
    now = 102.0
    one.append(some(4, 2))
    assert not path.exists()


def test_the_sequence_of_an_archive_that_recovery_removed_is_not_used_again_after_a_kill(tmp_path: Path) -> None:
    """A follower had passed the sequence, and left out the new archive with the same one."""

    class Failing(Disk):
        fails = False

        def sync(self, fd: int) -> None:
            if self.fails:
                raise OSError(errno.EIO, "Input/output error")
            super().sync(fd)

    disk = Failing()
    one = archive_log(tmp_path, disk)
    one.append(some(0, 1))
    one.roll("test")
    disk.fails = True
    with pytest.raises(StorageFault):
        one.append(some(1, 1))
    disk.fails = False
    one.recover_abandoned()
    assert list(tmp_path.glob("*.open")) == []
    used = one.ledger.state.sequence
    again = archive_log(tmp_path)  # the process was killed
    again.append(some(1, 1))
    assert again.writer is not None
    assert again.writer.id.sequence == used + 1
