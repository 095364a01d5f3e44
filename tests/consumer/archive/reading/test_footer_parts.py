from pathlib import Path

import pytest

from codec.gap import Gap
from consumer.archive.listing import find_archives
from consumer.archive.reading.footer_parts import parts_by_footer
from consumer.archive.reading.reader import ArchiveFile, Seal, StoredBatch
from tests.consumer.archive.reading.test_reader import offsets
from tests.support.archive_logs import archive_log, some


@pytest.fixture
def path(tmp_path: Path) -> Path:
    log = archive_log(tmp_path)
    for first in range(0, 6, 2):
        log.append(some(first, 2))
    log.roll("stop")
    (path,) = find_archives([tmp_path])
    path.chmod(0o600)
    return path


def test_the_parts_are_those_that_a_walk_finds(path: Path) -> None:
    with ArchiveFile(path) as archive:
        assert list(parts_by_footer(archive)) == list(archive.parts(frames=False))


def test_an_open_archive_is_read_from_header_to_header(tmp_path: Path) -> None:
    log = archive_log(tmp_path)
    log.append(some(0, 2))
    with ArchiveFile(find_archives([tmp_path])[0]) as archive:
        assert [type(part) for part in parts_by_footer(archive)] == [StoredBatch]


@pytest.mark.parametrize("cut", [1, 9, 40, 300])
def test_a_damaged_end_does_not_hide_the_batches(path: Path, cut: int) -> None:
    path.write_bytes(path.read_bytes()[:-cut])
    with ArchiveFile(path) as archive:
        assert list(parts_by_footer(archive)) == list(archive.parts(frames=False))


def test_a_batch_that_was_removed_shows(path: Path) -> None:
    """The footer does not begin where its rows say."""
    raw, at = path.read_bytes(), offsets(path)
    path.write_bytes(raw[: at[0]] + raw[at[1] :])
    with ArchiveFile(path) as archive:
        found = list(parts_by_footer(archive))
    assert [type(part) for part in found] == [Gap, StoredBatch, StoredBatch, Seal]


def test_a_file_that_is_no_archive_has_gaps(path: Path) -> None:
    path.write_bytes(b"nothing that can be read")
    with ArchiveFile(path) as archive:
        assert [type(part) for part in parts_by_footer(archive)] == [Gap]
