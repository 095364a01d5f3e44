import os
import subprocess
import sys
from pathlib import Path

import pytest

from codec.watermark import Watermark
from consumer import log
from consumer.archive import naming
from consumer.archive.watermark import durable_events, publish_watermark, read_watermark, watermark_path
from consumer.disk.durable import Disk
from tests.support.archive_logs import archive_log, some
from tests.support.disk import ShadowDisk


@pytest.fixture
def alive(tmp_path: Path):
    """The instance `one` runs: it holds its lock."""
    fd = Disk().acquire(naming.lock_path(tmp_path, "one"))
    assert fd is not None
    yield tmp_path
    Disk().close(fd)


def test_the_watermark_follows_each_commit(tmp_path: Path) -> None:
    one = archive_log(tmp_path, events_max=3)
    assert read_watermark(tmp_path, "one") is None
    marks = []
    for first, count in ((0, 2), (2, 1), (3, 1)):
        receipt = one.append(some(first, count))
        marks.append(read_watermark(tmp_path, "one"))
        assert one.writer is not None
        assert marks[-1] == Watermark(receipt.archive.sequence, one.writer.fill.events, one.writer.committed)
    assert [(mark.sequence, mark.events) for mark in marks if mark] == [(1, 2), (1, 3), (2, 1)]


def test_the_watermark_is_written_after_the_sync_and_is_not_synced(tmp_path: Path) -> None:
    disk = ShadowDisk(tmp_path)
    one = archive_log(tmp_path, disk)
    one.append(some(0, 1))
    disk.calls.clear()
    one.append(some(1, 1))
    assert disk.calls == ["append", "sync", "overwrite"]


def test_a_batch_that_was_not_synced_is_not_in_the_watermark(tmp_path: Path) -> None:
    disk = ShadowDisk(tmp_path)
    one = archive_log(tmp_path, disk)
    one.append(some(0, 2))
    before = read_watermark(tmp_path, "one")
    writer = one.writer
    assert writer is not None
    disk.fail_at = len(disk.calls) + 2
    with pytest.raises(Exception, match="Input/output error"):
        writer.append(some(2, 2))
    assert read_watermark(tmp_path, "one") == before


def test_a_watermark_that_cannot_be_written_costs_no_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(log, "emit", lambda event, **_: lines.append(event.name))
    watermark_path(tmp_path, "one").mkdir()
    one = archive_log(tmp_path)
    assert one.append(some(0, 2)).events == 2
    assert "watermark_failed" in lines


def test_another_process_sees_whole_watermarks_only(tmp_path: Path) -> None:
    """It reads while the record is written, again and again."""
    code = (
        "import sys; from pathlib import Path; from codec.watermark import Watermark\n"
        "from consumer.disk.durable import Disk; from consumer.archive.watermark import publish_watermark\n"
        "for n in range(20_000): publish_watermark(Disk(), Path(sys.argv[1]), 'one', Watermark(n, n, n))"
    )
    publish_watermark(Disk(), tmp_path, "one", Watermark(0, 0, 0))
    writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[3])
    seen = []
    while writer.poll() is None:
        mark = read_watermark(tmp_path, "one")
        assert mark is not None
        assert mark.sequence == mark.events == mark.bytes
        seen.append(mark.sequence)
    assert writer.returncode == 0
    assert seen == sorted(seen)


def test_an_unsynced_batch_in_the_open_archive_of_a_running_instance_is_not_durable(alive: Path) -> None:
    """Its bytes can be read, and its sync has not returned."""
    one = archive_log(alive)
    one.append(some(0, 3))
    writer = one.writer
    assert writer is not None
    disk = ShadowDisk(alive)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one.disk, "sync", lambda _fd: (_ for _ in ()).throw(OSError(5, "the sync fails")))
        with pytest.raises(Exception, match="the sync fails"):
            writer.append(some(3, 2))
    assert durable_events(disk, writer.path) == 3
    assert disk.calls == []  # a sync here would prove nothing: the kernel has reported the lost write once already


def test_an_archive_that_a_running_instance_abandoned_is_durable_up_to_the_watermark(alive: Path) -> None:
    one = archive_log(alive)
    one.append(some(0, 3))
    abandoned = one.writer
    assert abandoned is not None
    abandoned.abandon()
    assert durable_events(Disk(), abandoned.path) == 3
    one.writer = None
    one.append(some(3, 1))  # the watermark counts the events of the next archive now
    assert durable_events(Disk(), abandoned.path) == 0


def test_without_a_watermark_no_event_of_a_running_instance_is_durable(alive: Path) -> None:
    one = archive_log(alive)
    one.append(some(0, 3))
    assert one.writer is not None
    for damage in (lambda path: path.write_bytes(b"junk"), lambda path: path.unlink(), os.mkfifo):
        damage(watermark_path(alive, "one"))
        assert durable_events(Disk(), one.writer.path) == 0


def test_an_archive_of_a_stopped_instance_is_synced_and_counts_as_a_whole(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 3))
    writer = one.writer
    assert writer is not None
    writer.abandon()
    naming.lock_path(tmp_path, "one").touch()
    disk = ShadowDisk(tmp_path)
    assert durable_events(disk, writer.path) is None
    assert disk.calls == ["sync"]
