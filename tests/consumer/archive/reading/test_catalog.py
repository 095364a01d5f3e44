from pathlib import Path

import pytest

from codec.event import Event
from consumer.archive.layout import Layout
from consumer.archive.listing import find_archives
from consumer.archive.reading.catalog import Wanted, entries, look_up
from consumer.archive.writing.recovery import recover
from consumer.disk.durable import Disk
from tests.support.archive_logs import START_US, archive_log, event, some


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Ten batches of ten events, sealed."""
    one = archive_log(tmp_path)
    for at in range(0, 100, 10):
        one.append([found._replace(tags=(f"tag-{at}",)) for found in some(at, 10)])
    one.roll("test")
    return find_archives([tmp_path])[0]


def numbers(path: Path, **wanted: object) -> list[int]:
    return [batch.header.number for batch in look_up(path, Wanted(**wanted)).batches]


def test_without_a_wish_every_batch_is_read(archive: Path) -> None:
    assert numbers(archive) == list(range(10))


def test_an_id_leads_to_its_batch(archive: Path) -> None:
    for serial in range(100):
        assert serial // 10 in numbers(archive, ids=frozenset({f"id-{serial}"}))
    assert sum(len(numbers(archive, ids=frozenset({f"id-{serial}"}))) for serial in range(100)) < 110


def test_times_are_inclusive_and_may_be_open(archive: Path) -> None:
    assert numbers(archive, since_us=START_US + 89) == [8, 9]
    assert numbers(archive, until_us=START_US + 10) == [0, 1]
    assert numbers(archive, since_us=START_US + 15, until_us=START_US + 15) == [1]


def test_arrivals_lead_to_their_batches(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    for at in range(0, 30, 10):
        one.append([found._replace(time_us=START_US) for found in some(at, 10)])
    (path,) = find_archives([tmp_path])
    for _ in ("open", "sealed"):
        assert numbers(path, arrived_since_us=START_US + 15, arrived_until_us=START_US + 25) == [1, 2]
        assert numbers(path, arrived_until_us=START_US + 9) == [0]
        if one.writer is not None:
            one.roll("test")
            (path,) = find_archives([tmp_path])


def test_tags_and_types_lead_to_their_batches(archive: Path) -> None:
    assert numbers(archive, tags=("tag-30",)) == [3]
    assert numbers(archive, tags=("tag-30", "tag-40")) == []
    assert numbers(archive, types=("type.1",)) == list(range(10))
    assert numbers(archive, types=("nothing.*",)) == []
    assert numbers(archive, types=("type.?",), types_not=("type.0", "type.1", "type.2")) == []


def test_types_without_a_glob_need_not_be_known_to_the_totals(tmp_path: Path) -> None:
    """A footer counts a thousand names; the filters hold all of them."""
    one = archive_log(tmp_path)
    one.append([event(serial)._replace(type=f"kind.{serial}") for serial in range(1500)])
    one.append([event(serial)._replace(type="other") for serial in range(1500, 1510)])
    one.roll("test")
    (path,) = find_archives([tmp_path])
    assert numbers(path, types=("kind.1400",)) == [0]
    assert numbers(path, types=("kind.14*",)) == [0, 1]


def test_only_the_index_is_read(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    for at in range(0, 20_000, 2000):
        one.append([event(serial, size=400) for serial in range(at, at + 2000)])
    one.roll("test")
    (path,) = find_archives([tmp_path])
    entry = look_up(path, Wanted(ids=frozenset({"id-77"})))
    assert [batch.header.number for batch in entry.batches] == [0]
    assert entry.bytes_read < 3000, "the filters alone take 65,536"


def test_an_open_archive_is_walked_by_its_headers(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 10))
    one.append(some(10, 10))
    (entry,) = entries([tmp_path], Wanted(since_us=START_US + 12))
    assert [batch.header.number for batch in entry.batches] == [1]
    assert entry.faults == []


def test_batches_of_a_recovered_archive_have_no_filter_and_are_read(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 10))
    assert one.writer is not None
    path = one.writer.path
    one.writer.abandon()
    recover(Disk(), Layout(tmp_path), path)
    (sealed,) = find_archives([tmp_path])
    assert numbers(sealed, ids=frozenset({"id-3"})) == [0]
    assert numbers(sealed, since_us=START_US + 100) == []


@pytest.mark.parametrize("at", [-5, -40, -100, -2000])
def test_a_damaged_end_costs_speed_and_no_event(archive: Path, at: int) -> None:
    archive.chmod(0o600)
    raw = bytearray(archive.read_bytes())
    raw[at] ^= 0x10
    archive.write_bytes(raw)
    entry = look_up(archive, Wanted(since_us=START_US + 95))
    assert [batch.header.number for batch in entry.batches] == [9]


def test_a_file_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    (entry,) = entries([tmp_path / "missing.kvp.zst"], Wanted())
    assert "No such file" in entry.faults[0].reason


def test_a_foreign_file_in_the_directory_is_no_archive(archive: Path) -> None:
    """Theia's store could not start if its directory had a file called 100-160.bak."""
    (archive.parent / "100-160.bak").write_bytes(b"x")
    assert len(list(entries([archive.parent], Wanted()))) == 1


def test_wanted_types(archive: Path) -> None:
    wanted = Wanted(types=("compute.*", "volume.create"), types_not=("*.exists",))
    assert wanted.is_type("compute.instance.update")
    assert wanted.is_type("volume.create")
    assert not wanted.is_type("compute.instance.exists")
    assert not wanted.is_type("image.update")
    assert Wanted(types_not=("a*",)).is_type("b")


def test_an_empty_id_is_an_id(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append([Event("", "t", START_US, START_US, "", "", b"\0\0", b"")])
    one.roll("test")
    assert numbers(find_archives([tmp_path])[0], ids=frozenset({""})) == [0]
