import io
from pathlib import Path

import orjson
import pytest

from consumer.archive.listing import find_archives
from consumer.archive.reading.cat import OutputFormat, cat_archives
from consumer.archive.reading.fault import ReadFault
from consumer.archive.reading.reader import ArchiveFile
from consumer.archive.reading.tombstones import add_tombstones
from consumer.disk.durable import Disk
from tests.consumer.archive.reading.test_reader import TABLE, offsets
from tests.support.archive_logs import archive_log, some


def cat(path: Path, format: str = "jsonl") -> tuple[bytes, list[ReadFault], bool]:
    out, faults = io.BytesIO(), []
    damaged = cat_archives([path], OutputFormat(format), out, faults.append)
    return out.getvalue(), faults, damaged


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    one = archive_log(tmp_path, events_max=4)
    for first, count in ((0, 3), (3, 1), (4, 4)):
        one.append(some(first, count))
    one.roll("stop")
    return tmp_path


def test_events_are_printed_in_order_with_their_positions(directory: Path) -> None:
    out, faults, damaged = cat(directory)
    lines = [orjson.loads(line) for line in out.splitlines()]
    assert [line["id"] for line in lines] == [f"id-{n}" for n in range(8)]
    assert [line["position"] for line in lines][2:5] == ["one-00000001:2", "one-00000001:3", "one-00000002:0"]
    assert (faults, damaged) == ([], False)


def test_raw_prints_bodies_and_kvp_prints_records(directory: Path) -> None:
    assert cat(directory, "raw")[0] == b"".join(event.body + b"\n" for event in some(0, 8))
    records = cat(directory, "kvp")[0]
    assert len(records) == 8 * 2560
    assert records.startswith(b"DEEDBOX|one-00000001.0|type.0|id-0|0\0")


@pytest.mark.parametrize(("damage", "survivors", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_whole_events_are_printed_and_damage_is_reported(
    tmp_path: Path, damage, survivors: list[int], expected
) -> None:
    one = archive_log(tmp_path)
    for first, count in ((0, 3), (3, 1), (4, 4)):
        one.append(some(first, count))
    assert one.writer is not None
    one.writer.abandon()
    path = one.writer.path
    path.write_bytes(damage(path.read_bytes(), offsets(path)))
    out, faults, damaged = cat(tmp_path)
    counts = [3, 1, 4]
    assert len(out.splitlines()) == sum(counts[number] for number in survivors)
    assert damaged == (bool(expected) or path.stat().st_size == 0)
    assert all(fault.path == path and fault.offset is not None for fault in faults)
    assert len(faults) == max(len(expected), path.stat().st_size == 0)


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    out, faults, damaged = cat(tmp_path / "nothing")
    assert (out, damaged) == (b"", True)
    assert faults == [ReadFault(tmp_path / "nothing", None, "No such file or directory")]


def test_the_records_of_a_batch_with_a_deleted_event_keep_their_keys(directory: Path) -> None:
    whole = cat(directory, "kvp")[0]
    with ArchiveFile(find_archives([directory])[0]) as archive:
        add_tombstones(Disk(), archive, [1], "id-1", "2026-11-21T16:15:00Z")
    assert cat(directory, "kvp")[0] == whole[:2560] + whole[2 * 2560 :]


def test_any_limit_is_accepted(directory: Path) -> None:
    out = io.BytesIO()
    assert not cat_archives([directory], OutputFormat.JSONL, out, print, limit=10**30)
    assert out.getvalue() == cat(directory)[0]
