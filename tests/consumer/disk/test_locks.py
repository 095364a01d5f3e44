import fcntl
import os
import threading
from pathlib import Path

import pytest

from consumer.disk import locks
from consumer.disk.durable import Disk, is_held


def test_a_reader_that_checks_the_lock_does_not_postpone_recovery(tmp_path: Path) -> None:
    """A reader checks with a shared lock. A recovery at that moment assumed that the instance was running."""
    (tmp_path / "a").write_text("a")
    reader = os.open(tmp_path / "a", os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_SH)
    asked = threading.Event()
    real = fcntl.flock

    def flock(fd: int, kind: int) -> None:
        try:
            real(fd, kind)
        except BlockingIOError:
            if kind == fcntl.LOCK_EX | fcntl.LOCK_NB and not asked.is_set():
                asked.set()
                real(reader, fcntl.LOCK_UN)
            raise

    disk = Disk()
    fd = disk.open(tmp_path / "a")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fcntl, "flock", flock)
        assert disk.try_lock(fd)
    assert asked.is_set()
    assert is_held(tmp_path / "a")
    for one in (fd, reader):
        disk.close(one)


def test_a_shared_lock_that_stays_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("a")
    reader = os.open(tmp_path / "a", os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_SH)
    monkeypatch.setattr(locks, "SHARED_S_MAX", 0.05)
    disk = Disk()
    fd = disk.open(tmp_path / "a")
    assert not disk.try_lock(fd)
    for one in (fd, reader):
        disk.close(one)


def test_a_held_lock_is_recognized_without_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk()
    owner, other = disk.create(tmp_path / "a"), disk.open(tmp_path / "a")
    monkeypatch.setattr(locks.threading.Event, "wait", lambda *_: pytest.fail("waited"))
    assert not disk.try_lock(other)
    for one in (owner, other):
        disk.close(one)
