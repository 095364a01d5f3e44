"""Files in the directory of a watched one that hold the bytes that were read of it."""

import os
from pathlib import Path

from consumer.watch.siblings import SiblingFiles


def test_the_siblings_of_a_link_and_of_its_target_are_known(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "links" / "app.log"
    real.mkdir()
    link.parent.mkdir()
    link.symlink_to(real / "service.log")
    for number, name in enumerate(("service.log.2", "service.log.1", "app.log.3", "service.log"), 5):
        (real / name).write_bytes(b"x")
        os.utime(real / name, ns=(number, number))
    siblings = SiblingFiles(link, [])
    files = siblings.files()
    inodes = {path.name: inode for inode, path in files.items()}
    assert files[inodes["app.log"]] == link
    assert sorted(inodes) == ["app.log", "app.log.3", "service.log.1", "service.log.2"]
    assert siblings.rotated_after(inodes["service.log.2"], 6) == [inodes["service.log.1"]]
    assert siblings.rotated_after(inodes["app.log"], 0) is None
    assert siblings.rotated_since(0) == [inodes["service.log.2"], inodes["service.log.1"]]


def test_a_file_is_opened_by_its_inode(tmp_path: Path) -> None:
    path, rotated, packed = (tmp_path / name for name in ("app.log", "app.log.1", "app.log.2.gz"))
    for file in (path, rotated, packed):
        file.write_bytes(b"x")
    siblings = SiblingFiles(path, [path])
    assert [siblings.open_inode(file.stat().st_ino) for file in (path, packed)] == [None, None]
    fd = siblings.open_inode(rotated.stat().st_ino)
    assert fd is not None
    assert os.fstat(fd).st_ino == rotated.stat().st_ino
    os.close(fd)
