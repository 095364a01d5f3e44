import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from codec.event import Event
from consumer.archive import naming
from consumer.archive.layout import Layout
from consumer.archive.reading.reader import ArchiveFile
from consumer.archive.rewriting.repack import repack
from consumer.archive.watermark import watermark_path
from consumer.archive.writing import orphans, unsettled
from consumer.archive.writing import recent_events as recents
from consumer.archive.writing.archive_log import ArchiveLog
from consumer.archive.writing.recent_events import IDLE_S, INSTANCES_MAX, OwnArchives, RecentEvents
from consumer.archive.writing.unsettled import AGE_US
from consumer.disk.durable import Disk
from consumer.errors import StorageFault
from tests.support.archive_logs import archive_log, some
from tests.support.disk import ShadowDisk, fail_on

NOTHING = OwnArchives(None, frozenset())


def recent(directory: Path, disk: Disk | None = None, own: ArchiveLog | None = None, after: int = 0) -> RecentEvents:
    own_state, keep = (own.own, own.keep_begins) if own else (lambda: NOTHING, lambda _begins: None)
    return RecentEvents(disk or Disk(), directory, "me", own_state, keep, after)


def crashed(directory: Path, instance: str, first: int, count: int, step: int = 10, **policy: float) -> ArchiveLog:
    """An instance that archived some events and was killed: according to its ledger it runs, and its lock is free."""
    one = archive_log(directory, instance=instance, **policy)
    one.ledger.update(running=True)
    for serial in range(first, first + count, step):
        one.append(some(serial, step))
    return one


def die(one: ArchiveLog) -> None:
    """Its process has ended, and its lock on the open archive with it."""
    assert one.writer is not None
    one.writer.abandon()
    one.writer = None


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[int]:
    """`other` is alive."""
    fd = Disk().acquire(naming.lock_path(tmp_path, "other"))
    assert fd is not None
    yield fd
    try:
        os.close(fd)
    except OSError:
        pass  # the test has released it


class Opened:
    """Which archives were opened, and how many bytes were read of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files: list[ArchiveFile] = []
        opened = self.files

        def open_archive(path: Path) -> ArchiveFile:
            opened.append(ArchiveFile(path))
            return opened[-1]

        for module in (recents, unsettled):
            monkeypatch.setattr(module, "open_archive", open_archive)

    @property
    def bytes(self) -> int:
        return sum(file.bytes_read for file in self.files)

    def clear(self) -> None:
        self.files.clear()


def events(found: Iterator[tuple[str, Event]]) -> list[Event]:
    return [event for _, event in found]


def test_the_window_of_every_instance_is_recalled_once(tmp_path: Path) -> None:
    """Not a window for each archive: of 150 events in three archives, the last 100."""
    for instance, first in (("a", 0), ("me", 1000)):
        crashed(tmp_path, instance, first, 150, events_max=60)
    found = events(recent(tmp_path).window())
    assert sorted(found, key=lambda event: event.time_us) == some(50, 100) + some(1050, 100)


def test_a_recalled_event_has_its_position(tmp_path: Path) -> None:
    crashed(tmp_path, "a", 0, 120, events_max=60)
    found = list(recent(tmp_path).window())
    assert [position for position, _ in found[:2] + found[-2:]] == [
        "a-00000001:20", "a-00000001:21", "a-00000002:58", "a-00000002:59",
    ]  # fmt: skip
    assert events(iter(found)) == some(20, 100)


def test_after_a_clean_stop_nothing_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Opened(monkeypatch)
    one = crashed(tmp_path, "a", 0, 50)
    one.roll("stop")
    one.ledger.update(running=False)
    assert list(recent(tmp_path).window()) == []
    assert opened.files == []
    one.ledger.update(unsettled=True)
    assert events(recent(tmp_path).window()) == some(0, 50)


def test_own_archives_of_earlier_runs_are_known_as_acknowledged(tmp_path: Path) -> None:
    one = crashed(tmp_path, "me", 0, 20)
    one.roll("stop")
    one.append(some(100, 5))
    assert events(recent(tmp_path, own=one, after=1).window()) == some(100, 5)
    assert events(recent(tmp_path, own=one, after=2).window()) == []


def test_a_clock_that_is_set_while_a_generation_consumes_hides_nothing_of_its_window(tmp_path: Path) -> None:
    """An event that arrived half an hour before the newest one counted as acknowledged."""
    old, young = some(0, 2), [event._replace(arrived_us=event.arrived_us + AGE_US + 10) for event in some(2, 2)]
    one = crashed(tmp_path, "a", 0, 0)
    for batch in (old, young):
        one.append(batch)
    assert events(recent(tmp_path).window()) == old + young


def test_an_instance_that_was_idle_for_long_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Opened(monkeypatch)
    crashed(tmp_path, "a", 0, 10).roll("stop")
    late = RecentEvents(
        Disk(),
        tmp_path,
        "me",
        lambda: NOTHING,
        lambda _begins: None,
        wall=lambda: os.stat(tmp_path).st_mtime + IDLE_S + 60,
    )
    assert list(late.window()) == []
    assert opened.files == []


@pytest.mark.parametrize("archives", [1, 2000])
def test_a_start_and_a_reconnect_cost_the_same_after_a_year(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archives: int
) -> None:
    """Archives of our own, of instances that ended cleanly, and of more crashed ones than are looked at."""
    one = crashed(tmp_path, "me", 0, 100)
    one.roll("count")
    (sealed,) = tmp_path.rglob("*.kvp.zst")
    for number in range(2, archives + 1):
        instance = ("me", f"clean-{number % 7}", f"crashed-{number}")[number % 3]
        name = sealed.name.replace("me-00000001", f"{instance}-{number:08d}")
        sealed.with_name(name).hardlink_to(sealed)
        if instance != "me":
            running = b"true" if instance.startswith("crashed") else b"false"
            (tmp_path / f"{instance}.ledger").write_bytes(b'{"sequence":%d,"running":%b}' % (number, running))
    opened = Opened(monkeypatch)
    reading = recent(tmp_path, own=one)
    for _ in ("start", "reconnect"):
        opened.clear()
        found = list(reading.window())
        instances = 1 if archives == 1 else 1 + INSTANCES_MAX
        assert len(found) <= instances * 100
        assert len(opened.files) <= instances * 2
        assert opened.bytes <= instances * (3 * sealed.stat().st_size)
    opened.clear()
    assert list(reading.changed()) == []
    assert opened.files == []


def test_an_event_that_was_not_synced_never_counts_as_known(tmp_path: Path) -> None:
    """The page cache shows the batch that a failed sync has lost."""
    disk = ShadowDisk(tmp_path)
    one = archive_log(tmp_path, disk, instance="me")
    one.append(some(0, 2))
    fail_on(disk, "sync", "replace")
    with pytest.raises(StorageFault):
        one.append(some(2, 2))
    assert some(2, 1)[0] not in events(recent(tmp_path, own=one).window())
    fail_on(disk)
    one.probe()
    assert events(recent(tmp_path, own=one).window()) == some(0, 2)


def test_events_after_the_own_last_commit_are_not_known(tmp_path: Path) -> None:
    one = crashed(tmp_path, "me", 0, 10)
    before = one.own()
    one.append(some(10, 10))
    assert events(RecentEvents(Disk(), tmp_path, "me", lambda: before, lambda _begins: None).window()) == some(0, 10)


def test_an_open_archive_of_a_stopped_instance_is_synced_before_it_is_read(tmp_path: Path) -> None:
    die(crashed(tmp_path, "other", 0, 10))
    disk = ShadowDisk(tmp_path)
    assert events(recent(tmp_path, disk).window()) == some(0, 10)
    assert disk.calls == ["sync"]


def test_an_unsynced_batch_of_a_live_instance_does_not_count_as_durable(tmp_path: Path, lock: int) -> None:
    one = crashed(tmp_path, "other", 0, 10)
    mark = watermark_path(tmp_path, "other")
    before = mark.read_bytes()
    one.append(some(10, 10))
    after = mark.read_bytes()
    mark.write_bytes(before)
    reading = recent(tmp_path)
    assert events(reading.window()) == some(0, 10)
    assert list(reading.changed()) == []
    mark.write_bytes(after)
    assert events(reading.changed()) == some(10, 10)
    mark.unlink()
    assert list(recent(tmp_path).window()) == []


def test_an_instance_that_dies_while_we_run_is_read_up_to_its_end(tmp_path: Path, lock: int) -> None:
    """Its files do not change when it dies."""
    one = crashed(tmp_path, "other", 0, 10)
    watermark_path(tmp_path, "other").unlink()
    reading = recent(tmp_path)
    assert list(reading.window()) == []
    assert list(reading.changed()) == []
    os.close(lock)
    die(one)
    assert events(reading.changed()) == some(0, 10)
    assert list(reading.changed()) == []
    (finding,) = orphans.recover_others(Disk(), Layout(tmp_path), "me")
    assert finding.outcome == "sealed"
    assert list(reading.changed()) == []


def test_of_an_instance_that_changed_only_new_batches_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    still, busy = crashed(tmp_path, "still", 0, 10), crashed(tmp_path, "busy", 100, 10)
    reading = recent(tmp_path)
    assert len(list(reading.window())) == 20
    opened = Opened(monkeypatch)
    busy.append(some(110, 10))
    assert events(reading.changed()) == some(110, 10)
    assert {file.path.name for file in opened.files} == {"busy-00000001.kvp.zst.open"}
    assert still.writer is not None


def test_an_instance_that_ended_cleanly_starts_without_a_window(tmp_path: Path) -> None:
    one = crashed(tmp_path, "other", 0, 10)
    one.roll("stop")
    one.ledger.update(running=False)
    reading = recent(tmp_path)
    assert list(reading.window()) == []
    one.ledger.update(running=True)
    one.append(some(50, 5))
    assert events(reading.changed()) == some(50, 5)


def test_an_archive_that_cannot_be_read_is_no_reason_not_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for instance in ("a", "b"):
        die(crashed(tmp_path, instance, 0, 10))
    disk = Disk()
    monkeypatch.setattr(
        disk,
        "sync_path",
        lambda path: (_ for _ in ()).throw(PermissionError(13, "no", str(path))) if "a-" in path.name else None,
    )
    assert events(recent(tmp_path, disk).window()) == some(0, 10)


def test_a_directory_that_cannot_be_listed_is_no_reason_not_to_start(tmp_path: Path) -> None:
    assert list(recent(tmp_path / "gone").window()) == []


def test_a_clock_that_was_set_back_removes_no_event_from_the_window(tmp_path: Path) -> None:
    """Two hours, as after a start with a wrong clock: the newest events have the oldest times."""
    one = crashed(tmp_path, "me", 0, 10)
    one.append([event._replace(arrived_us=event.arrived_us - 4 * AGE_US) for event in some(10, 10)])
    die(one)
    assert [event.id for _, event in recent(tmp_path).window()] == [f"id-{serial}" for serial in range(20)]


@pytest.mark.parametrize("own", [False, True])
def test_an_archive_that_is_repacked_between_plan_and_reading_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    """Its batches were not where they had been, and a redelivery of its events was archived without a mark."""
    one = crashed(tmp_path, "me" if own else "other", 0, 0)
    for serial in range(20):
        one.append(some(serial, 1))
    one.roll("stop")

    def plan_and_repack(*arguments: object, **bounds: object) -> unsettled.Plan:
        found = unsettled.plan(*arguments, **bounds)  # type: ignore[arg-type]
        if found.ranges:
            assert [done.outcome for done in repack(Disk(), [tmp_path])] == ["repacked"]
        return found

    monkeypatch.setattr(recents, "plan", plan_and_repack)
    assert events(recent(tmp_path).window()) == some(0, 20)
