import fcntl
from pathlib import Path

import pytest

from codec.archive import BATCH_HEADER_BYTES
from consumer.archive.listing import find_archives
from consumer.archive.reading.reader import ArchiveReader
from consumer.archive.reading.summary import State, summarize
from tests.support.archive_logs import archive_log, some


def two_archives(directory: Path) -> tuple[Path, Path]:
    """A sealed archive with events 0 to 49 in two batches, and an open one with 50 to 59."""
    one = archive_log(directory)
    for first in (0, 25):
        one.append(some(first, 25))
    one.roll("test")
    one.append(some(50, 10))
    sealed, opened = find_archives([directory])
    return sealed, opened


def test_the_summary_of_a_sealed_archive_comes_from_its_footer(tmp_path: Path) -> None:
    sealed, _ = two_archives(tmp_path)
    found = summarize(sealed)
    assert (found.path, found.state, str(found.id), found.fault) == (sealed, State.SEALED, "one-00000001", "")
    assert (found.batches, found.events, found.size) == (2, 50, sealed.stat().st_size)
    events = some(0, 50)
    assert (found.first_us, found.last_us) == (events[0].time_us, events[-1].time_us)
    assert (found.first_arrived_us, found.last_arrived_us) == (events[0].arrived_us, events[-1].arrived_us)
    assert found.types == {"type.0": 17, "type.1": 17, "type.2": 16}


def test_the_summary_of_an_open_archive_comes_from_its_batch_headers(tmp_path: Path) -> None:
    _, opened = two_archives(tmp_path)
    found = summarize(opened)
    assert (found.state, found.batches, found.events, found.types) == (State.OPEN, 1, 10, None)
    assert found.first_us == some(50, 1)[0].time_us


def test_an_open_archive_without_a_batch_has_no_times(tmp_path: Path) -> None:
    path = tmp_path / "one-00000001.kvp.zst.open"
    path.write_bytes(b"")
    found = summarize(path)
    assert (found.events, found.first_us, found.last_arrived_us) == (0, None, None)


def test_no_batch_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    read = ArchiveReader.read

    def noted(self: ArchiveReader, offset: int, size: int) -> bytes:
        sizes.append(size)
        return read(self, offset, size)

    one = archive_log(tmp_path)
    for first in range(0, 5000, 500):
        one.append([event._replace(body=event.body * 100) for event in some(first, 500)])
    (opened,) = find_archives([tmp_path])
    monkeypatch.setattr(ArchiveReader, "read", noted)
    assert summarize(opened).events == 5000
    assert sum(sizes) < 10 * BATCH_HEADER_BYTES + 4096
    one.roll("test")
    sizes.clear()
    (sealed,) = find_archives([tmp_path])
    assert summarize(sealed).events == 5000
    assert sum(sizes) < 4096


@pytest.mark.parametrize("cut", [1, 100, 700])
def test_a_sealed_archive_without_its_end_is_damaged(tmp_path: Path, cut: int) -> None:
    sealed, _ = two_archives(tmp_path)
    sealed.chmod(0o600)
    sealed.write_bytes(sealed.read_bytes()[:-cut])
    found = summarize(sealed)
    assert (found.state, found.types) == (State.DAMAGED, None)
    assert found.events in (25, 50)
    assert found.fault


@pytest.mark.parametrize("content", [b"", b"another file"])
def test_a_file_that_is_not_an_archive_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    found = summarize(tmp_path / "file")
    assert (found.state, found.events, found.id, bool(found.fault)) == (State.DAMAGED, 0, None, True)


def test_a_file_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        summarize(tmp_path / "missing")


@pytest.mark.parametrize("content", [b"", bytes(100)], ids=["empty", "zeros"])
def test_an_open_archive_without_content_is_damaged_unless_a_process_is_writing_it(
    tmp_path: Path, content: bytes
) -> None:
    """`cat` and `search` report it."""
    path = tmp_path / "one-00000001.kvp.zst.open"
    path.write_bytes(content)
    assert summarize(path).state is State.DAMAGED
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert summarize(path).state is State.OPEN
