import hashlib
from pathlib import Path

import pytest

from consumer.archive.writing.sealing import digest, publish
from tests.support.disk import ShadowDisk


def test_a_published_archive_is_read_only_and_replaces_no_file(tmp_path: Path) -> None:
    disk = ShadowDisk(tmp_path)
    target = tmp_path / "a" / "b" / "sealed"
    for _ in range(2):
        fd = disk.create(tmp_path / "open")
        disk.append(fd, b"x")
        if target.exists():
            with pytest.raises(FileExistsError):
                publish(disk, fd, tmp_path / "open", target)
        else:
            publish(disk, fd, tmp_path / "open", target)
        disk.close(fd)
    assert (target.read_bytes(), target.stat().st_mode & 0o777) == (b"x", 0o440)
    assert (tmp_path / "open").exists()


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    assert digest(tmp_path / "a") == hashlib.sha256(b"x").hexdigest()
