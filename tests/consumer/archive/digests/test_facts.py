import hashlib
from pathlib import Path

import pytest

from consumer.archive.digests.facts import index_of, listed_archive
from consumer.archive.listing import find_archives
from consumer.archive.reading.reader import ArchiveFile
from tests.support.archive_logs import archive_log, some
from tests.support.rewriting import rewrite


@pytest.fixture
def path(tmp_path: Path) -> Path:
    one = archive_log(tmp_path)
    for first in (0, 2, 4):
        one.append(some(first, 2))
    one.roll("stop")
    return find_archives([tmp_path])[0]


def test_the_facts_are_those_of_the_file(path: Path) -> None:
    with ArchiveFile(path) as archive:
        found = listed_archive(archive, "x", 1)
    raw = path.read_bytes()
    assert (found.size, found.sha256) == (len(raw), hashlib.sha256(raw).hexdigest())
    assert found.original == found.sha256
    assert (found.events, found.first_event, found.last_event) == (6, 0, 5)
    first, last = some(0, 1)[0].arrived_us, some(5, 1)[0].arrived_us
    assert (found.first_arrived_us, found.last_arrived_us) == (first, last)


def test_a_rewritten_archive_names_its_original(path: Path) -> None:
    from consumer.archive.rewriting.repack import repack
    from consumer.disk.durable import Disk

    before = hashlib.sha256(path.read_bytes()).hexdigest()
    rewrite(path, [1])  # small batches, which are worth a repacking
    changed = hashlib.sha256(path.read_bytes()).hexdigest()
    assert [str(one.path) for one in repack(Disk(), [path])] == [str(path)]
    with ArchiveFile(path) as archive:
        found = listed_archive(archive, "x", 1)
    assert found.original == changed != before
    assert found.original != found.sha256
    assert found.batches < 6


def test_a_damaged_archive_has_facts_too(path: Path) -> None:
    raw = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(raw[: len(raw) - 30])
    with ArchiveFile(path) as archive:
        found = listed_archive(archive, "x", 1)
        assert index_of(archive) is None
    assert (found.events, found.footer, found.sha256) == (6, None, hashlib.sha256(raw[:-30]).hexdigest())


def test_a_file_that_is_no_archive_has_no_events(tmp_path: Path) -> None:
    path = tmp_path / "20251121T161500.000000Z-20251121T161500.000000Z-one-00000001.kvp.zst"
    path.write_bytes(b"nothing that can be read")
    with ArchiveFile(path) as archive:
        found = listed_archive(archive, "x", 1)
    assert (found.events, found.batches, found.first_event, found.last_event, found.head) == (0, 0, None, None, None)
