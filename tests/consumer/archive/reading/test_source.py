"""Archives that are read from a source: a file, and bytes that are served as ranges."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from codec.event import Event
from consumer.archive.checking.archive_check import check_archive
from consumer.archive.checking.verify import verify_archive
from consumer.archive.listing import find_archives
from consumer.archive.reading.catalog import Wanted, look_up, match_of
from consumer.archive.reading.reader import ArchiveFile, ArchiveReader, Seal, StoredBatch
from consumer.archive.reading.source import FileSource
from consumer.archive.reading.tombstones import Tombstones
from consumer.objects.url import ObjectUrl
from tests.support.archive_logs import archive_log, some


@dataclass
class Ranges:
    """An object that answers range requests. `asked`: offset and size of each request."""

    location: ObjectUrl
    raw: bytes
    asked: list[tuple[int, int]] = field(default_factory=list)
    closed: bool = False
    bytes_read: int = 0

    @property
    def size(self) -> int:
        return len(self.raw)

    def read(self, offset: int, size: int) -> bytes:
        assert not self.closed
        self.asked.append((offset, size))
        raw = self.raw[offset : offset + size]
        self.bytes_read += len(raw)
        return raw

    def expect(self, offset: int, size: int) -> None:
        """Nothing is kept."""

    def plan(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Nothing is read ahead."""

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def path(tmp_path: Path) -> Path:
    one = archive_log(tmp_path)
    for first in range(0, 60, 6):
        one.append(some(first, 6))
    one.roll("stop")
    return find_archives([tmp_path])[0]


def ranges(path: Path, raw: bytes | None = None) -> Ranges:
    return Ranges(ObjectUrl("s3", "bucket", path.name), path.read_bytes() if raw is None else raw)


def events(archive: ArchiveReader) -> list[Event]:
    return [event for part in archive.parts() if isinstance(part, StoredBatch) for event in part.events()]


def test_a_source_that_is_no_file_yields_the_same_parts(path: Path) -> None:
    source = ranges(path)
    with ArchiveReader(source) as archive, ArchiveFile(path) as file:
        assert (archive.id, archive.identity, archive.live) == (file.id, file.identity, False)
        assert events(archive) == events(file) == some(0, 60)
        assert [type(part) for part in archive.parts()][-1] is Seal
    assert source.closed


def test_the_catalog_reads_a_source_by_its_index(path: Path) -> None:
    wanted = Wanted(ids=frozenset({"id-41"}))
    with ArchiveReader(ranges(path)) as archive:
        found = match_of(archive, wanted, Tombstones())
        (batch,) = found.batches
        assert "id-41" in [event.id for event in archive.with_frame(batch).events()]
    assert found.batches == look_up(path, wanted).batches
    assert (found.events, found.faults, found.bytes_read) == (60, [], look_up(path, wanted).bytes_read)


def test_verify_checks_a_source_as_it_checks_a_file(path: Path) -> None:
    with ArchiveReader(ranges(path)) as archive:
        verdict, expected = check_archive(archive, Tombstones()), verify_archive(path)
    assert (verdict.state, verdict.events, verdict.head) == ("sealed", 60, expected.head)
    assert verdict.faults == expected.faults == []


def test_damage_in_a_source_is_reported_with_its_offset(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    with ArchiveFile(path) as file:
        second = [part for part in file.parts() if isinstance(part, StoredBatch)][1]
    raw[second.offset + 100] ^= 1
    with ArchiveReader(ranges(path, bytes(raw))) as archive:
        verdict = check_archive(archive, Tombstones())
    assert verdict.events == 54
    assert (verdict.faults[0].path.name, verdict.faults[0].offset) == (path.name, second.offset)


def test_a_file_source_sees_appended_bytes_after_a_refresh(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123")
    source = FileSource(path)
    path.write_bytes(b"01234567")
    assert (source.size, source.live, source.location) == (4, False, path)
    source.refresh()
    assert (source.size, source.read(6, 9), source.read(8, 1), source.read(0, 0)) == (8, b"67", b"", b"")
    source.close()


def test_the_file_of_a_live_writer_is_live(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    assert one.writer is not None
    source = FileSource(one.writer.path)
    assert source.live
    source.close()
    one.roll("stop")
