from pathlib import Path

import pytest

from consumer.archive.naming import ArchiveId
from consumer.disk.durable import Disk
from consumer.errors import DeedboxError
from consumer.ship.steps.progress import Progress, forget, load, noted, progress_path, store

ONE = ArchiveId("one", 7)


def test_what_was_stored_is_loaded_until_it_is_forgotten(tmp_path: Path) -> None:
    assert load(tmp_path, ONE) is None
    progress = Progress(path="/x", leaving="/y", sha256="ab").with_done("ship").with_done("link /z")
    store(Disk(), tmp_path, ONE, progress)
    assert load(tmp_path, ONE) == progress
    assert progress.done == ("ship", "link /z")
    assert list(noted(tmp_path)) == [ONE]
    forget(Disk(), tmp_path, ONE)
    forget(Disk(), tmp_path, ONE)
    assert (load(tmp_path, ONE), list(noted(tmp_path))) == (None, [])


@pytest.mark.parametrize("raw", [b"", b"{", b'{"path":1}', b'{"path":"/x","format":2}', b"\xff", bytes(100_000)])
def test_a_file_that_cannot_be_read_is_an_error_and_not_a_new_beginning(tmp_path: Path, raw: bytes) -> None:
    """Otherwise a program would run again, or an archive would be deleted that a step has not seen."""
    path = progress_path(tmp_path, ONE)
    path.parent.mkdir()
    path.write_bytes(raw)
    with pytest.raises(DeedboxError, match=str(path)):
        load(tmp_path, ONE)


def test_other_files_of_the_folder_are_no_archives(tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    for name in ("steps.lock", "x.steps", "one-00000002.steps", "one-00000001.steps", "one-00000003.steps.new"):
        (tmp_path / "steps" / name).touch()
    assert list(noted(tmp_path)) == [ArchiveId("one", 1), ArchiveId("one", 2)]
