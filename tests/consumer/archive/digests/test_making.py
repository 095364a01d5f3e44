"""Making digests: what is listed and when, one writer, and a crash at every step."""

import errno
import multiprocessing
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec import UNSET

from codec.digest import LOCAL, DigestKind, ListedArchive
from consumer.archive import naming
from consumer.archive.digests import files, making
from consumer.archive.digests.chain import read_chains
from consumer.archive.digests.facts import listed_archive
from consumer.archive.digests.history import History, history, retired
from consumer.archive.digests.making import DigestsHeld, Retirement, make_due, retire
from consumer.archive.digests.removing import RETENTION_LOCK
from consumer.archive.digests.signing import init_key, load_key, load_public_keys
from consumer.archive.listing import find_archives
from consumer.archive.naming import ArchiveId
from consumer.archive.reading.reader import ArchiveFile
from consumer.archive.rewriting.compact import compact
from consumer.archive.writing.archive_log import ArchiveLog
from consumer.disk.durable import Disk, held
from consumer.errors import DeedboxError
from tests.support.archive_logs import archive_log, some
from tests.support.command_line import deedbox
from tests.support.disk import PowerCut, ShadowDisk

HOUR_US = 3_600_000_000
NOW_US = 1_800_000_000_000_000


def due(directory: Path, hour: float, disk: Disk | None = None) -> list[Path]:
    return make_due(disk or Disk(), directory, NOW_US + int(hour * HOUR_US), HOUR_US)


def started(directory: Path) -> ArchiveLog:
    """An instance that has a ledger and has sealed nothing."""
    log = archive_log(directory)
    (directory / "one.ledger").touch()
    return log


def seal(log: ArchiveLog, first: int, count: int = 2) -> None:
    log.append(some(first, count))
    log.roll("count")


def listed(directory: Path, instance: str = "one") -> list[list[int]]:
    """The sequences in each digest."""
    return [[one.sequence for one in found.digest.archives] for found in history(directory, instance)]


def spans(directory: Path) -> list[tuple[float, float]]:
    """The spans, in hours since NOW_US."""
    found = [found.digest for found in history(directory, "one")]
    return [((one.from_us - NOW_US) / HOUR_US, (one.until_us - NOW_US) / HOUR_US) for one in found]


def retirement(sequence: int, where: str = LOCAL) -> Retirement:
    return Retirement(
        ArchiveId("one", sequence), "20261121/x", "ab" * 32, where, ("s3://bucket/prefix",), "older than 30 days"
    )


def test_each_digest_lists_what_was_sealed_since(tmp_path: Path) -> None:
    log = archive_log(tmp_path)
    seal(log, 0)
    due(tmp_path, 0)
    seal(log, 10)
    seal(log, 20)
    assert due(tmp_path, 0.9) == []
    assert [path.name for path in due(tmp_path, 1)] == ["00000002.digest"]
    assert listed(tmp_path) == [[1], [2, 3]]
    (entry,) = next(history(tmp_path, "one")).digest.archives
    assert entry.path == find_archives([tmp_path])[0].relative_to(tmp_path).as_posix()


def test_an_open_archive_is_not_listed(tmp_path: Path) -> None:
    archive_log(tmp_path).append(some(0, 2))
    due(tmp_path, 0)
    assert listed(tmp_path) == [[]]


def test_silence_of_a_running_instance_is_proved_each_interval(tmp_path: Path) -> None:
    archive_log(tmp_path)
    (tmp_path / "one.ledger").touch()
    with held(Disk(), naming.lock_path(tmp_path, "one")):
        for hour in range(4):
            due(tmp_path, hour)
    assert listed(tmp_path) == [[], [], [], []]
    assert spans(tmp_path) == [(0, 0), (0, 1), (1, 2), (2, 3)]


def test_an_instance_that_has_ended_gets_one_empty_digest(tmp_path: Path) -> None:
    """Otherwise each container of the past would get an object every hour, for ever."""
    log = archive_log(tmp_path)
    seal(log, 0)
    for hour in range(9):
        due(tmp_path, hour)
    assert listed(tmp_path) == [[1], []]
    seal(log, 10)
    due(tmp_path, 20)
    assert listed(tmp_path) == [[1], [], [2]]
    assert spans(tmp_path)[1:] == [(0, 1), (1, 20)]


def test_a_key_that_is_added_later_signs_the_chain_of_an_instance_that_has_ended(tmp_path: Path) -> None:
    """Otherwise `verify` with the public key reports the unsigned digests for ever."""
    log = archive_log(tmp_path / "archive")
    seal(log, 0)
    for hour in range(3):
        due(tmp_path / "archive", hour)
    init_key(Disk(), tmp_path / "key")
    key = load_key(tmp_path / "key")
    for hour in range(3, 9):
        make_due(Disk(), tmp_path / "archive", NOW_US + hour * HOUR_US, HOUR_US, key)
    assert listed(tmp_path / "archive") == [[1], [], []]
    newest = files.newest(tmp_path / "archive", "one")
    assert newest is not None
    assert newest.signature is not None


def test_after_a_pause_one_digest_covers_all_of_it(tmp_path: Path) -> None:
    log = started(tmp_path)
    due(tmp_path, 0)
    for first in range(0, 50, 10):
        seal(log, first)
    due(tmp_path, 100)
    assert listed(tmp_path) == [[], [1, 2, 3, 4, 5]]
    assert spans(tmp_path)[1] == (0, 100)


def test_an_archive_that_was_sealed_late_is_listed_late(tmp_path: Path) -> None:
    """A writer failed, and recovery sealed its archive after later ones."""
    log = archive_log(tmp_path)
    for first in range(0, 30, 10):
        seal(log, first)
    second = find_archives([tmp_path])[1]
    aside = tmp_path.parent / second.name
    second.rename(aside)
    due(tmp_path, 0)
    aside.rename(second)
    due(tmp_path, 1)
    assert listed(tmp_path) == [[1, 3], [2]]


def test_the_first_digest_begins_with_the_first_event(tmp_path: Path) -> None:
    seal(archive_log(tmp_path), 0)
    due(tmp_path, 0)
    (found,) = history(tmp_path, "one")
    assert found.digest.from_us == some(0, 1)[0].arrived_us


def test_a_rewritten_archive_is_listed_again(tmp_path: Path) -> None:
    seal(archive_log(tmp_path), 0, 4)
    due(tmp_path, 0)
    (path,) = find_archives([tmp_path])
    assert deedbox("delete", "id-1", tmp_path).returncode == 0
    list(compact(Disk(), [path]))
    due(tmp_path, 1)
    due(tmp_path, 2)
    assert listed(tmp_path) == [[1], [1], []]
    first, second, _ = (found.digest.archives for found in history(tmp_path, "one"))
    assert second[0].original == first[0].original == first[0].sha256 != second[0].sha256


def test_another_file_under_the_name_of_a_listed_archive_is_not_listed(tmp_path: Path) -> None:
    """Only a rewrite of the listed archive is legitimate. `verify` reports the other file."""
    seal(archive_log(tmp_path), 0)
    due(tmp_path, 0)
    (path,) = find_archives([tmp_path])
    seal(archive_log(tmp_path.parent / "other"), 5, 9)
    path.chmod(0o600)
    path.write_bytes(find_archives([tmp_path.parent / "other"])[0].read_bytes())
    due(tmp_path, 1)
    assert listed(tmp_path) == [[1], []]


def test_a_clock_that_goes_back_leaves_no_gap_and_delays_nothing(tmp_path: Path) -> None:
    log = started(tmp_path)
    due(tmp_path, 10)
    assert due(tmp_path, 2) == []
    seal(log, 0)
    due(tmp_path, 2)
    due(tmp_path, 11)
    assert listed(tmp_path) == [[], [1], []]
    assert spans(tmp_path) == [(10, 10), (10, 10), (10, 11)]


def test_silence_is_proved_after_the_clock_was_ahead_for_years(tmp_path: Path) -> None:
    """A machine without a clock started in 2100, made a digest, and got the right time then."""
    archive_log(tmp_path)
    (tmp_path / "one.ledger").touch()
    with held(Disk(), naming.lock_path(tmp_path, "one")):
        due(tmp_path, 0)
        due(tmp_path, 600_000)
        for hour in (1, 1.5, 2, 3):
            due(tmp_path, hour)
    found = [one.digest for one in history(tmp_path, "one")]
    assert [(one.made_us - NOW_US) / HOUR_US for one in found] == [0, 600_000, 1, 2, 3]
    assert {one.until_us for one in found[1:]} == {NOW_US + 600_000 * HOUR_US}
    assert [one.clock_us is UNSET for one in found] == [True, True, False, False, False]
    (chain,) = read_chains([tmp_path])
    assert chain.faults == []
    assert [(chain.proved_us(NOW_US + hour * HOUR_US) - NOW_US) / HOUR_US for hour in (4, 2, 0)] == [3, 2, 0]
    assert chain.proved_us(NOW_US - 1) == 0


def test_each_instance_has_a_chain_of_its_own(tmp_path: Path) -> None:
    for instance in ("one", "two"):
        seal(archive_log(tmp_path, instance=instance), 0)
    due(tmp_path, 0)
    assert listed(tmp_path, "one") == listed(tmp_path, "two") == [[1]]
    assert files.instances(tmp_path) == ["one", "two"]


def test_a_damaged_chain_does_not_stop_those_of_other_instances(tmp_path: Path) -> None:
    for instance in ("one", "two"):
        seal(archive_log(tmp_path, instance=instance), 0)
    due(tmp_path, 0)
    (files.folder(tmp_path, "one") / "00000001.digest").write_bytes(b"")
    with pytest.raises(DeedboxError, match="the newest digest cannot be read: digest without a newline"):
        due(tmp_path, 1)
    assert listed(tmp_path, "two") == [[1], []]


def test_more_archives_than_a_digest_holds_are_in_the_next_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "DIGEST_ENTRIES_MAX", 2)
    log = archive_log(tmp_path)
    for first in range(0, 50, 10):
        seal(log, first)
    assert len(due(tmp_path, 0)) == 3
    assert listed(tmp_path) == [[1, 2], [3, 4], [5]]
    assert spans(tmp_path)[1:] == [(0, 0), (0, 0)]


def test_an_archive_that_was_removed_meanwhile_is_left_out(tmp_path: Path) -> None:
    log = archive_log(tmp_path)
    for first in (0, 10):
        seal(log, first)
    gone = find_archives([tmp_path])[0]
    gone.unlink()
    gone.symlink_to("nowhere")
    due(tmp_path, 0)
    assert listed(tmp_path) == [[2]]


def test_an_archive_that_cannot_be_read_is_an_error_and_the_others_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = archive_log(tmp_path)
    for first in (0, 10):
        seal(log, first)
    denied = find_archives([tmp_path])[0]

    def opened(path: Path) -> ArchiveFile:
        if path == denied:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return ArchiveFile(path)

    monkeypatch.setattr(making, "ArchiveFile", opened)
    with pytest.raises(PermissionError):
        due(tmp_path, 0)
    assert listed(tmp_path) == [[2]]


def test_no_digest_is_made_of_a_directory_that_cannot_be_read(tmp_path: Path) -> None:
    """It would say that nothing was sealed."""
    seal(archive_log(tmp_path), 0)
    due(tmp_path, 0)
    (path,) = find_archives([tmp_path])
    (path.parent / "loop").symlink_to("loop")
    with pytest.raises(DeedboxError, match="cannot be read, so that no digest can say"):
        due(tmp_path, 1)
    assert listed(tmp_path) == [[1]]


def test_a_path_that_is_not_utf_8_is_listed_with_escapes(tmp_path: Path) -> None:
    seal(archive_log(tmp_path), 0)
    (path,) = find_archives([tmp_path])
    path.parent.rename(tmp_path / "caf\udce9")
    due(tmp_path, 0)
    (found,) = history(tmp_path, "one")
    assert found.digest.archives[0].path == f"caf\\udce9/{path.name}"


def test_a_path_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    seal(archive_log(tmp_path), 0)
    (path,) = find_archives([tmp_path])
    deep = tmp_path.joinpath(*["x" * 250] * 8)
    deep.mkdir(parents=True)
    path.rename(deep / path.name)
    with pytest.raises(DeedboxError, match="give the archives shorter paths"):
        due(tmp_path, 0)


def test_digests_are_signed_if_there_is_a_key(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(init_key(Disk(), tmp_path / "key"))
    seal(archive_log(tmp_path / "archive"), 0)
    make_due(Disk(), tmp_path / "archive", NOW_US, HOUR_US, load_key(tmp_path / "key"))
    (found,) = history(tmp_path / "archive", "one")
    assert found.signature
    assert load_public_keys([tmp_path / "key.pub"]).fault(found) is None


def test_retirement_is_recorded_at_once_and_lists_what_was_not_listed(tmp_path: Path) -> None:
    """An archive that goes before the interval ends is known to have existed."""
    log = started(tmp_path)
    due(tmp_path, 0)
    seal(log, 0)
    (path,) = retire(Disk(), tmp_path, [retirement(1)], NOW_US + 5, HOUR_US)
    found = files.read_digest(path).digest
    assert (found.kind, found.number, [one.sequence for one in found.archives]) == (DigestKind.RETIREMENT, 2, [1])
    assert [(one.sequence, one.where, one.kept, one.reason) for one in found.retired] == [
        (1, LOCAL, ("s3://bucket/prefix",), "older than 30 days")
    ]


def test_a_retirement_is_recorded_once(tmp_path: Path) -> None:
    seal(archive_log(tmp_path), 0)
    assert len(retire(Disk(), tmp_path, [retirement(1), retirement(1)], NOW_US, HOUR_US)) == 1
    assert retire(Disk(), tmp_path, [retirement(1)], NOW_US + 5, HOUR_US) == []
    assert len(retire(Disk(), tmp_path, [retirement(1), retirement(1, "s3://bucket")], NOW_US, HOUR_US)) == 1
    assert set(retired(tmp_path)) == {(ArchiveId("one", 1), where) for where in (LOCAL, "s3://bucket")}


def test_an_archive_that_was_not_removed_after_all_is_listed_again(tmp_path: Path) -> None:
    """The step failed, or retention was killed. Its loss later on is a loss; before it goes, it is recorded anew."""
    log = archive_log(tmp_path)
    for first in (0, 10, 20):
        seal(log, first)
    due(tmp_path, 0)
    retire(Disk(), tmp_path, [retirement(1), retirement(2)], NOW_US, HOUR_US)
    find_archives([tmp_path])[0].unlink()
    due(tmp_path, 1)
    due(tmp_path, 2)
    assert listed(tmp_path) == [[1, 2, 3], [], [2], []]
    assert set(retired(tmp_path)) == {(ArchiveId("one", 1), LOCAL)}
    assert len(retire(Disk(), tmp_path, [retirement(1), retirement(2)], NOW_US + 2 * HOUR_US, HOUR_US)) == 1
    assert [one.sequence for one in list(history(tmp_path, "one"))[-1].digest.retired] == [2]


@pytest.mark.parametrize("remover", ["retention", "step"])
def test_an_archive_that_a_process_removes_now_is_not_listed_again(tmp_path: Path, remover: str) -> None:
    """A digest between the record and the removal must not make a loss of the removal."""
    log = archive_log(tmp_path)
    for first in (0, 10):
        seal(log, first)
    path = find_archives([tmp_path])[0]
    lock = tmp_path / RETENTION_LOCK if remover == "retention" else path.with_name("one-00000001.deleted.lock")
    with held(Disk(), lock):
        retire(Disk(), tmp_path, [retirement(1)], NOW_US, HOUR_US)
        due(tmp_path, 1)
        path.unlink()
    due(tmp_path, 2)
    assert listed(tmp_path) == [[1, 2], []]
    assert set(retired(tmp_path)) == {(ArchiveId("one", 1), LOCAL)}


@pytest.mark.parametrize("is_gone", [True, False], ids=["gone", "going"])
def test_a_removal_that_begins_while_the_archive_is_read_is_no_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_gone: bool
) -> None:
    """The digest looks again when it has the chain to itself."""
    seal(archive_log(tmp_path), 0)
    due(tmp_path, 0)
    retire(Disk(), tmp_path, [retirement(1)], NOW_US, HOUR_US)
    (path,) = find_archives([tmp_path])
    disk, locks = Disk(), []

    def read(archive: ArchiveFile, below: str, sequence: int) -> ListedArchive:
        found = listed_archive(archive, below, sequence)
        locks.append(disk.acquire(tmp_path / RETENTION_LOCK))
        assert retire(disk, tmp_path, [retirement(1)], NOW_US, HOUR_US) == []
        if is_gone:
            path.unlink()
            disk.close(locks[0] or 0)
        return found

    monkeypatch.setattr(making, "listed_archive", read)
    due(tmp_path, 1)
    assert listed(tmp_path) == [[1], [], []]
    assert set(retired(tmp_path)) == {(ArchiveId("one", 1), LOCAL)}
    if not is_gone:
        disk.close(locks[0] or 0)


def test_nothing_is_listed_after_it_was_recorded_as_retired_in_the_same_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "DIGEST_ENTRIES_MAX", 2)
    log = archive_log(tmp_path)
    for first in range(0, 50, 10):
        seal(log, first)
    retire(Disk(), tmp_path, [retirement(5), retirement(1), retirement(2)], NOW_US, HOUR_US)
    assert listed(tmp_path) == [[1, 2], [3, 4], [5], []]
    assert {archive.sequence for archive, _ in retired(tmp_path)} == {1, 2, 5}


def test_a_chain_that_another_process_extends_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "LOCK_S_MAX", 0.2)
    seal(archive_log(tmp_path), 0)
    folder = files.folder(tmp_path, "one")
    folder.mkdir(parents=True)
    with held(Disk(), folder / ".lock"):
        assert due(tmp_path, 0) == []
        with pytest.raises(DigestsHeld, match="another process appends a digest"):
            retire(Disk(), tmp_path, [retirement(1)], NOW_US, HOUR_US)
    assert len(due(tmp_path, 0)) == 1


def _retire_some(directory: Path, first: int) -> None:
    for sequence in range(first, first + 10):
        retire(Disk(), directory, [retirement(sequence)], NOW_US, HOUR_US)


def test_processes_that_append_at_the_same_time_make_one_chain(tmp_path: Path) -> None:
    seal(archive_log(tmp_path), 0)
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_retire_some, args=(tmp_path, first)) for first in (1, 11, 21)]
    with held(Disk(), tmp_path / RETENTION_LOCK):  # as every process that removes archives does
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
            assert process.exitcode == 0
    assert len(retired(tmp_path)) == 30
    assert [found.digest.number for found in history(tmp_path, "one")] == list(range(1, 31))
    assert sum(map(len, listed(tmp_path))) == 1  # two processes saw that the archive was not listed


STEPS = range(1, 16)


@pytest.mark.parametrize("step", STEPS)
def test_a_power_cut_at_any_step_leaves_a_whole_chain_and_no_promise_is_lost(tmp_path: Path, step: int) -> None:
    before = tmp_path / "before"
    seal(archive_log(before), 0)
    disk = ShadowDisk(before, fail_at=step, crash=True)
    for directory in (before, *(path for path in before.rglob("*") if path.is_dir())):
        disk.durable.remember_directory(directory)
    promised = _promises(disk, before)
    after = disk.after_power_cut(tmp_path / "after")
    found = History.read(after, "one")
    assert promised <= set(found.retired)
    due(after, 9)
    assert len(retire(Disk(), after, [retirement(7)], NOW_US + 9 * HOUR_US, HOUR_US)) == 1


def _promises(disk: ShadowDisk, directory: Path) -> set[int]:
    """The sequences whose retirement was recorded before the power cut."""
    promised = set()
    try:
        due(directory, 0, disk)
        for sequence in (1, 2):
            retire(disk, directory, [retirement(sequence)], NOW_US, HOUR_US)
            promised.add(sequence)
    except PowerCut:
        disk.end_process()
    return promised


@pytest.mark.parametrize("step", STEPS)
def test_a_retirement_that_a_killed_process_recorded_is_durable_before_it_counts(tmp_path: Path, step: int) -> None:
    """The name of the digest was not synced. The next process must not delete the archive on its strength alone."""
    before = tmp_path / "before"
    seal(archive_log(before), 0)
    disk = ShadowDisk(before, fail_at=step, crash=True)
    for directory in (before, *(path for path in before.rglob("*") if path.is_dir())):
        disk.durable.remember_directory(directory)
    _promises(disk, before)
    disk.fail_at, disk.unsynced = 0, {}
    retire(disk, before, [retirement(1)], NOW_US + 5, HOUR_US)
    after = disk.after_power_cut(tmp_path / "after")
    assert (ArchiveId("one", 1), LOCAL) in retired(after)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=["full", "broken"])
def test_an_error_at_any_step_leaves_a_whole_chain(tmp_path: Path, step: int, error: int) -> None:
    seal(archive_log(tmp_path), 0)
    disk = ShadowDisk(tmp_path, fail_at=step, error=error)
    with suppress(OSError):
        due(tmp_path, 0, disk)
        retire(disk, tmp_path, [retirement(1)], NOW_US, HOUR_US)
    disk.fail_at = 0
    due(tmp_path, 1)
    retire(Disk(), tmp_path, [retirement(1)], NOW_US + 2 * HOUR_US, HOUR_US)
    assert sorted(History.read(tmp_path, "one").listed) == [1]
    assert set(retired(tmp_path)) == {(ArchiveId("one", 1), LOCAL)}
