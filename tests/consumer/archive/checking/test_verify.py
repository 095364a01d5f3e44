from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from codec.digest import LOCAL
from consumer.archive.checking.check import Check
from consumer.archive.checking.verdict import GapClass, Verdict
from consumer.archive.checking.verify import verify
from consumer.archive.digests.making import Retirement, make_due, retire
from consumer.archive.instances import Instance, find_instances
from consumer.archive.listing import find_archives, id_of
from consumer.disk.durable import Disk
from tests.consumer.archive.digests.test_chain import HOUR_US, NOW_US
from tests.consumer.archive.reading.test_reader import offsets
from tests.support.archive_logs import archive_log, some


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """Three sealed archives of one instance."""
    one = archive_log(tmp_path, events_max=4)
    for first in range(0, 12, 2):
        one.append(some(first, 2))
    one.roll("stop")
    return find_archives([tmp_path])


def faults(*paths: Path) -> list[str]:
    return [str(fault) for verdict in verify(list(paths)) for fault in verdict.faults]


def rewrite(path: Path, raw: bytes) -> None:
    path.chmod(0o640)
    path.write_bytes(raw)


def test_whole_archives_are_complete(three: list[Path], tmp_path: Path) -> None:
    verdicts = list(verify([tmp_path]))
    assert [(verdict.events, verdict.batches, verdict.state, verdict.faults) for verdict in verdicts] == [
        (4, 2, "sealed", [])
    ] * 3


def test_a_removed_archive_is_reported_as_missing(three: list[Path], tmp_path: Path) -> None:
    three[1].unlink()
    (fault,) = faults(tmp_path)
    assert "archive one-00000002 is missing" in fault


def test_a_directory_may_be_named_twice(three: list[Path], tmp_path: Path) -> None:
    """The second time, the archives were skipped and reported as missing."""
    (tmp_path / "link").symlink_to(tmp_path)
    verdicts = list(verify([tmp_path, tmp_path, tmp_path / "link"]))
    assert [(verdict.path, verdict.faults) for verdict in verdicts] == [(path, []) for path in three]


def test_the_oldest_archives_may_be_removed(three: list[Path], tmp_path: Path) -> None:
    """Retention deletes from the front."""
    three[0].unlink()
    assert faults(tmp_path) == []


def test_an_archive_that_was_exchanged_is_noticed(three: list[Path], tmp_path: Path) -> None:
    other = archive_log(tmp_path / "other", events_max=4)
    other.append(some(0, 4))
    other.roll("stop")
    rewrite(three[0], find_archives([tmp_path / "other"])[0].read_bytes())
    assert any("is not the archive that was sealed before this one" in fault for fault in faults(tmp_path / "20251121"))


def test_a_removed_batch_is_reported(three: list[Path]) -> None:
    raw, at = three[0].read_bytes(), offsets(three[0])
    rewrite(three[0], raw[: at[0]] + raw[at[1] :])
    found = faults(three[0])
    assert any("missing: " in fault and "before event" in fault for fault in found)
    assert any("the footer lists 2 batches, 1 found" in fault for fault in found)


@pytest.mark.parametrize("step", [1, 5])
def test_every_flipped_bit_is_noticed(three: list[Path], step: int) -> None:
    raw = three[0].read_bytes()
    for at in range(0, len(raw), 13 * step):
        damaged = bytearray(raw)
        damaged[at] ^= 1 << at % 8
        rewrite(three[0], damaged)
        assert faults(three[0]), at


def test_a_fault_names_file_offset_and_reason(three: list[Path]) -> None:
    raw, at = bytearray(three[0].read_bytes()), offsets(three[0])[1]
    raw[at + 100] ^= 1
    rewrite(three[0], raw)
    assert any(
        fault.startswith(f"{three[0]}: at {at}: damaged, ") and "frame checksum" in fault for fault in faults(three[0])
    )


def test_a_file_cut_after_its_batches_lacks_its_end(three: list[Path]) -> None:
    raw = three[0].read_bytes()
    end = offsets(three[0])[1] + 96 + int.from_bytes(raw[offsets(three[0])[1] + 28 :][:4], "little")
    rewrite(three[0], raw[:end])
    assert faults(three[0]) == [f"{three[0]}: at {end}: the end is missing: no footer"]


@pytest.mark.parametrize("raw", [b"", b"not an archive at all"], ids=["empty", "foreign"])
def test_a_file_that_is_not_an_archive_is_reported(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(raw)
    assert len(faults(path)) >= 1


def test_an_open_archive_that_a_process_is_writing_is_no_fault(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    assert one.writer is not None
    with one.writer.path.open("ab") as half:
        half.write(b"half a batch")
        half.flush()
        (live,) = verify([tmp_path])
        assert (live.state, live.events, live.faults) == ("open", 2, [])
    one.writer.abandon()
    with one.writer.path.open("ab") as half:
        half.write(b"half a batch")
    (dead,) = verify([tmp_path])
    assert dead.state == "orphaned"
    assert len(dead.faults) == 1


def test_marked_duplicates_are_counted(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append([*some(0, 2), some(0, 1)[0]._replace(duplicate="one-00000001:0")])
    (verdict,) = verify([tmp_path])
    assert (verdict.events, verdict.duplicates) == (3, 1)


def test_a_sequence_that_was_set_aside_empty_is_not_missed(tmp_path: Path) -> None:
    for skipped in (0, 3):
        one = archive_log(tmp_path)
        for _ in range(skipped):
            one.ledger.next_sequence()
        one.append(some(skipped, 1))
        one.roll("stop")
    assert [verdict.id.sequence for verdict in verify([tmp_path]) if verdict.id] == [1, 5]
    assert faults(tmp_path) == []


def test_an_archive_that_was_sealed_late_is_no_fault(tmp_path: Path) -> None:
    """The rename failed; the next archive had to name an older one."""
    from tests.support.disk import ShadowDisk

    disk = ShadowDisk(tmp_path)
    one = archive_log(tmp_path, disk, events_max=2)
    for first in (0, 2, 4, 6):
        one.append(some(first, 2))
        if first == 2:
            real, disk.rename = disk.rename, lambda *_: (_ for _ in ()).throw(OSError(5, "no"))  # type: ignore[method-assign]
            one.roll("count")
            disk.rename = real  # type: ignore[method-assign]
    one.roll("stop")
    assert [verdict.events for verdict in verify([tmp_path])] == [2, 2, 2, 2]
    assert faults(tmp_path) == []


def test_an_archive_that_is_sealed_between_listing_and_opening_is_found(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    assert one.writer is not None
    path = one.writer.path
    one.roll("stop")
    (verdict,) = verify([path])
    assert (verdict.state, verdict.events, verdict.faults) == ("sealed", 2, [])


def test_damage_in_a_live_archive_is_not_confused_with_an_unfinished_batch(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    for serial in range(4):
        one.append(some(serial, 1))
    assert one.writer is not None
    raw = bytearray(one.writer.path.read_bytes())
    for at in offsets(one.writer.path)[1:]:
        raw[at + 20] ^= 1
    with one.writer.path.open("r+b") as file:
        file.write(raw)
    (verdict,) = verify([tmp_path])
    assert (verdict.state, verdict.events) == ("open", 1)
    assert ["torn" in verdict.faults[0].reason, "3 events missing" in verdict.faults[1].reason] == [True, True]


@pytest.mark.parametrize("before", [True, False], ids=["before the listing", "after the listing"])
def test_an_archive_that_is_listed_retired_and_removed_meanwhile_is_no_loss(
    three: list[Path], tmp_path: Path, before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digests that were read at first know nothing of the newest archive, which the ledger names."""
    newest = three[-1]
    newest.rename(tmp_path.parent / newest.name)
    make_due(Disk(), tmp_path, NOW_US, HOUR_US)
    (tmp_path.parent / newest.name).rename(newest)

    def remove() -> None:
        name, id = str(newest.relative_to(tmp_path)), id_of(newest)
        assert id is not None
        retire(Disk(), tmp_path, [Retirement(id, name, "a" * 64, LOCAL)], NOW_US + HOUR_US, HOUR_US)
        newest.unlink()

    def removed_before(work: Callable[[Check], Verdict], checks: Iterable[Check]) -> Iterator[Verdict]:
        remove()
        return map(work, checks)

    def found_then_removed(directory: Path) -> list[Instance]:
        found = find_instances(directory)
        remove()
        return found

    if before:
        monkeypatch.setattr("consumer.archive.checking.verify.find_instances", found_then_removed)
    verdicts = list(verify([tmp_path], map if before else removed_before))
    assert [(one.state, str(fault)) for one in verdicts for fault in one.faults] == []
    assert [(one.id, one.gap) for one in verdicts if one.gap] == [(id_of(newest), GapClass.RETIRED)]


def test_an_archive_that_is_listed_and_lost_meanwhile_is_a_loss(three: list[Path], tmp_path: Path) -> None:
    """The digest that lists it was made after the run began."""
    newest = three[-1]
    newest.rename(tmp_path.parent / newest.name)
    make_due(Disk(), tmp_path, NOW_US, HOUR_US)
    (tmp_path.parent / newest.name).rename(newest)

    def lost_before(work: Callable[[Check], Verdict], checks: Iterable[Check]) -> Iterator[Verdict]:
        make_due(Disk(), tmp_path, NOW_US + HOUR_US, HOUR_US)
        newest.unlink()
        return map(work, checks)

    verdicts = list(verify([tmp_path], lost_before))
    assert [(one.id, one.gap) for one in verdicts if one.faults] == [(id_of(newest), GapClass.LOST)]
