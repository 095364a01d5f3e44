"""Files that were created and removed while no rename was reported."""

import os
from pathlib import Path

import pytest

from consumer.watch.missed_rotations import MissedRotations
from consumer.watch.open_file import OpenFile
from consumer.watch.siblings import SiblingFiles


@pytest.fixture
def path(tmp_path: Path) -> Path:
    for number, name in enumerate(("log.3", "log.2", "log.1", "log"), 1):
        (tmp_path / name).write_bytes(b"x" * number)
        os.utime(tmp_path / name, ns=(number, number))
    return tmp_path / "log"


def former(path: Path) -> OpenFile:
    """A file that had the name and is still read."""
    file = OpenFile(os.open(path, os.O_RDONLY))
    file.give_up_at = 1.0
    return file


def inode(path: Path) -> int:
    return path.stat().st_ino


def test_files_that_the_rotation_named_after_the_newest_one_are_unread(path: Path) -> None:
    missed = MissedRotations(path, SiblingFiles(path, []), suspected=True)
    file = former(path.with_name("log.3"))
    missed.find([file], {file.inode})
    assert missed.unread == [inode(path.with_name("log.2")), inode(path.with_name("log.1"))]
    assert not missed.suspected
    missed.find([file], {file.inode})
    assert len(missed.unread) == 2
    file.close()


def test_files_that_were_there_before_were_not_missed(path: Path) -> None:
    missed = MissedRotations(path, SiblingFiles(path, []), suspected=False)
    missed.remember()
    missed.suspected = True
    path.with_name("log.1").write_bytes(b"longer than before")
    file = former(path.with_name("log.3"))
    missed.find([file], {file.inode})
    assert missed.unread == [inode(path.with_name("log.1"))]
    file.close()


def test_a_file_that_cannot_be_opened_is_tried_again(path: Path) -> None:
    missed = MissedRotations(path, SiblingFiles(path, []), suspected=False)
    missed.unread = [inode(path.with_name("log.2")), inode(path.with_name("log.1"))]
    missed.open_unread(
        lambda opening: (fd := opening()) is not None and os.close(fd) is None and len(missed.unread) == 1
    )
    assert len(missed.unread) == 2
    missed.open_unread(lambda opening: (fd := opening()) is not None and os.close(fd) is None)
    assert missed.unread == []
