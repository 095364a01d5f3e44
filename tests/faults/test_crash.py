"""At every step of the durable path: a power cut, or an error of the disk. Afterwards every event whose append returned is there."""

import errno
from pathlib import Path

import orjson
import pytest

from codec.event import Event
from consumer.archive import naming
from consumer.archive.checking.verify import verify
from consumer.archive.layout import Layout
from consumer.archive.ledger import Ledger
from consumer.archive.listing import find_archives
from consumer.archive.watermark import read_watermark
from consumer.archive.writing import orphans
from consumer.disk.durable import Disk
from consumer.errors import StorageFault
from tests.support import archives
from tests.support.archive_logs import archive_log, some
from tests.support.disk import PowerCut, ShadowDisk

BATCHES = [(0, 3), (3, 1), (4, 5), (9, 2), (11, 4), (15, 1)]  # first serial and count; the third rolls


def run_once(disk: ShadowDisk, directory: Path) -> list[Event]:
    """Append, roll by count, seal. Returns the events whose append returned: these would be acknowledged."""
    durable: list[Event] = []
    try:
        one = archive_log(directory, disk, events_max=9)
        for first, count in BATCHES:
            try:
                one.append(some(first, count))
            except StorageFault:
                continue
            durable += some(first, count)
        one.roll("stop")
    except PowerCut:
        pass
    return durable


def steps() -> int:
    """How many calls of the disk a whole run makes."""
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        disk = ShadowDisk(Path(directory))
        assert len(run_once(disk, Path(directory))) == 16
        return len(disk.calls)


STEPS = range(1, steps() + 1)


def recovered(directory: Path) -> list[Event]:
    """The state that the next run finds."""
    ledger = Ledger(Disk(), directory, "one")
    findings = list(orphans.recover_own(Disk(), Layout(directory), ledger, "one"))
    assert all(finding.outcome in ("sealed", "empty") for finding in findings)
    assert not list(directory.glob("*.open"))
    return archives.events(directory)


def test_the_order_is_append_sync_directory_and_then_the_promise(tmp_path: Path) -> None:
    """A new file needs its directory synced before anything in it counts; a later batch only the file."""
    disk = ShadowDisk(tmp_path)
    one = archive_log(tmp_path, disk)
    one.append(some(0, 2))
    assert disk.calls == [
        "create", "append", "sync", "sync_directory", "overwrite", "replace", "append", "sync_directory",
    ]  # fmt: skip
    disk.calls.clear()
    one.append(some(2, 2))
    assert disk.calls == ["append", "sync", "overwrite"]
    disk.calls.clear()
    one.roll("stop")
    assert [call for call in disk.calls if call != "make_directory"] == [
        "append", "sync", "sync_directory", "rename", "sync_directory", "sync_directory", "replace", "append", "sync_directory",
    ]  # fmt: skip


@pytest.mark.parametrize("step", STEPS)
def test_a_power_cut_at_any_step_loses_nothing_that_was_promised(tmp_path: Path, step: int) -> None:
    before = tmp_path / "before"
    before.mkdir()
    disk = ShadowDisk(before, fail_at=step, crash=True)
    durable = run_once(disk, before)
    after = disk.after_power_cut(tmp_path / "after")
    found = recovered(after)
    assert found[: len(durable)] == durable
    assert len(set(found)) == len(found)
    assert [fault for verdict in verify([after]) for fault in verdict.faults] == []


@pytest.mark.parametrize("step", STEPS)
def test_after_a_power_cut_the_watermark_counts_no_event_that_is_not_there(tmp_path: Path, step: int) -> None:
    """It is not synced, but the kernel may have written it at any time."""
    before = tmp_path / "before"
    before.mkdir()
    disk = ShadowDisk(before, fail_at=step, crash=True)
    run_once(disk, before)
    mark = read_watermark(before, "one")
    recovered(disk.after_power_cut(tmp_path / "after"))
    counts = {verdict.id.sequence: verdict.events for verdict in verify([tmp_path / "after"]) if verdict.id}
    assert mark is None or counts[mark.sequence] >= mark.events


@pytest.mark.parametrize("step", STEPS)
def test_after_a_power_cut_the_ledger_names_the_newest_archive_with_a_promised_batch(tmp_path: Path, step: int) -> None:
    """Otherwise the loss of that whole archive would not be noticed."""
    before = tmp_path / "before"
    before.mkdir()
    disk = ShadowDisk(before, fail_at=step, crash=True)
    durable = run_once(disk, before)
    after = disk.after_power_cut(tmp_path / "after")
    ledger = after / "one.ledger"
    named = orjson.loads(ledger.read_bytes())["committed"] if ledger.exists() else 0
    recovered(after)
    promised = [
        archive.sequence
        for path in find_archives([after])
        if (archive := naming.parse_sealed(path))
        and {event for batch in archives.batches(path) for event in batch.events()} & set(durable)
    ]
    assert named >= max(promised, default=0)


@pytest.mark.parametrize("step", STEPS)
def test_a_process_killed_at_any_step_loses_nothing_that_was_written(tmp_path: Path, step: int) -> None:
    """The page cache survives the process: written bytes are there, and torn ones are set aside."""
    disk = ShadowDisk(tmp_path, fail_at=step, crash=True)
    durable = run_once(disk, tmp_path)
    disk.end_process()
    found = recovered(tmp_path)
    assert found[: len(durable)] == durable
    assert len(set(found)) == len(found)
    assert [fault for verdict in verify([tmp_path]) for fault in verdict.faults] == []


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=["full", "broken"])
@pytest.mark.parametrize("step", STEPS)
def test_an_error_at_any_step_loses_and_doubles_nothing(tmp_path: Path, step: int, error: int) -> None:
    """The current batch goes to a new archive. The old one is never written again, and is repaired."""
    disk = ShadowDisk(tmp_path, fail_at=step, error=error)
    durable = run_once(disk, tmp_path)
    assert len(durable) == 16
    found = recovered(tmp_path)
    assert sorted(found, key=lambda event: event.arrived_us) == durable
    assert disk.calls.count("sync") >= 2


@pytest.mark.parametrize("step", STEPS)
def test_an_error_at_any_step_and_a_power_cut_later_lose_nothing(tmp_path: Path, step: int) -> None:
    """Also where the sync of a directory failed after a rename: the old name must not go before the new one is durable."""
    before = tmp_path / "before"
    before.mkdir()
    disk = ShadowDisk(before, fail_at=step)
    durable = run_once(disk, before)
    found = recovered(disk.after_power_cut(tmp_path / "after"))
    assert sorted(found, key=lambda event: event.arrived_us) == durable
    assert disk.unsynced == {}


@pytest.mark.parametrize("step", STEPS)
def test_a_directory_that_cannot_be_synced_from_any_step_on_loses_nothing(tmp_path: Path, step: int) -> None:
    before = tmp_path / "before"
    before.mkdir()
    disk = ShadowDisk(before)
    disk.step = lambda name: _no_directory_from(disk, name, step)
    durable = run_once(disk, before)
    found = recovered(disk.after_power_cut(tmp_path / "after"))
    assert set(durable) <= set(found)


def _no_directory_from(disk: ShadowDisk, name: str, step: int) -> None:
    disk.calls.append(name)
    if len(disk.calls) >= step and name == "sync_directory":
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("step", STEPS)
def test_a_process_killed_at_any_step_and_a_power_cut_in_the_next_life_lose_nothing(tmp_path: Path, step: int) -> None:
    """The next run removes names. Before that it must make the names of the killed process durable."""
    before = tmp_path / "before"
    before.mkdir()
    disk = ShadowDisk(before, fail_at=step, crash=True)
    durable = run_once(disk, before)
    disk.end_process()
    disk.fail_at, disk.unsynced = 0, {}
    ledger = Ledger(disk, before, "one")
    assert all(
        finding.outcome in ("sealed", "empty") for finding in orphans.recover_own(disk, Layout(before), ledger, "one")
    )
    archive_log(before, disk).append(some(50, 1))
    disk.end_process()
    found = recovered(disk.after_power_cut(tmp_path / "after"))
    assert found[: len(durable)] == durable
    assert found[-1:] == some(50, 1)


@pytest.mark.parametrize("step", STEPS)
def test_a_disk_that_stays_full_refuses_and_recovers_when_it_is_not(tmp_path: Path, step: int) -> None:
    disk = ShadowDisk(tmp_path, fail_at=step, error=errno.ENOSPC)
    disk.step = lambda name: _full_from(disk, name, step)
    durable = run_once(disk, tmp_path)
    disk.end_process()
    found = recovered(tmp_path)
    assert [event for event in found if event in durable] == durable
    assert len(set(found)) == len(found)


def _full_from(disk: ShadowDisk, name: str, step: int) -> None:
    disk.calls.append(name)
    if len(disk.calls) >= step and name in ("create", "append", "replace", "make_directory"):
        raise OSError(errno.ENOSPC, "No space left on device")
