from pathlib import Path

import pytest

from consumer.archive.naming import parse_sealed
from consumer.disk.durable import Disk, is_held
from consumer.ship.uploading import uploading
from tests.support.shipping import seal


def test_the_lock_is_held_during_the_upload_and_gone_after_it(tmp_path: Path) -> None:
    (path,) = seal(tmp_path, 1)
    lock = tmp_path / "uploading" / str(parse_sealed(path))
    with uploading(tmp_path, path):
        assert is_held(lock)
        with uploading(tmp_path, path):  # to another destination
            assert is_held(lock)
    assert not lock.exists()


def test_a_directory_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = seal(tmp_path, 1)

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Disk, "acquire", refuse)
    with uploading(tmp_path, path):
        pass
