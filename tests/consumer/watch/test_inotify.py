import errno
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from asyncinotify import Inotify as Kernel
from asyncinotify import Mask, Watch

from consumer.watch.backend import EVERYWHERE
from consumer.watch.inotify import Inotify
from consumer.watch.renames import Rename


@pytest.fixture
def kernel() -> Iterator[Inotify]:
    made = Inotify()
    yield made
    made.close()


def test_a_directory_is_watched_once(kernel: Inotify, tmp_path: Path) -> None:
    assert kernel.watch({tmp_path})
    assert not kernel.watch({tmp_path})
    assert not kernel.watch({tmp_path / "missing"})


def test_the_end_of_writing_is_reported_and_each_write_is_not(kernel: Inotify, tmp_path: Path) -> None:
    """Bcfg2 reported each of five writes, the first one while the file was half written."""
    file = (tmp_path / "file").open("w")
    kernel.watch({tmp_path})
    for _ in range(5):
        file.write("x")
        file.flush()
    assert kernel.wait_for_changes(0) == set()
    file.close()
    assert kernel.wait_for_changes(1) == {tmp_path}


def test_every_write_is_reported_if_the_caller_wants_it(tmp_path: Path) -> None:
    kernel = Inotify(every_write=True)
    with (tmp_path / "file").open("w") as file:
        kernel.watch({tmp_path})
        file.write("x")
        file.flush()
        assert kernel.wait_for_changes(1) == {tmp_path}
    kernel.close()


def test_a_directory_that_is_created_again_is_watched_again(kernel: Inotify, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    kernel.watch({tmp_path, inner})
    inner.rmdir()
    assert inner in kernel.wait_for_changes(1)
    inner.mkdir()
    assert kernel.watch({tmp_path, inner})
    (inner / "file").touch()
    found = kernel.wait_for_changes(1)
    assert inner in found


def test_an_overflow_of_the_queue_means_everywhere(kernel: Inotify, tmp_path: Path) -> None:
    kernel.watch({tmp_path})
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    names = [tmp_path / str(number) for number in range(2)]
    for number in range(limit + 10):
        fd = os.open(names[number % 2], os.O_WRONLY | os.O_CREAT)
        os.close(fd)
    found: set[Path] | None = set()
    while found is not EVERYWHERE:
        found = kernel.wait_for_changes(1)
        assert found != set(), "the overflow was not reported"


def test_one_directory_under_two_names_is_both(kernel: Inotify, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    kernel.watch({tmp_path / "real", tmp_path / "link"})
    (tmp_path / "real" / "file").touch()
    assert kernel.wait_for_changes(1) == {tmp_path / "real", tmp_path / "link"}
    kernel.watch({tmp_path / "link"})
    (tmp_path / "real" / "other").touch()
    assert kernel.wait_for_changes(1) == {tmp_path / "link"}


def test_interrupt_ends_a_wait(kernel: Inotify) -> None:
    threading.Timer(0.01, kernel.interrupt).start()
    assert kernel.wait_for_changes(60) == set()


def test_renames_are_reported_in_their_order(kernel: Inotify, tmp_path: Path) -> None:
    log, one, two, outside = tmp_path / "log", tmp_path / "log.1", tmp_path / "log.2", tmp_path / "outside"
    outside.mkdir()
    kernel.watch({tmp_path})
    assert kernel.renames() is None  # events before the watch began are not seen
    log.touch()
    log.rename(one)
    log.touch()
    assert kernel.wait_for_changes(1) == {tmp_path}
    one.rename(two)
    log.rename(one)
    assert kernel.renames() == [Rename(log, one), Rename(one, two), Rename(log, one)]
    two.unlink()
    one.rename(outside / "one")
    (outside / "one").rename(log)
    assert kernel.renames() == [Rename(two, None), Rename(None, log)]
    assert kernel.renames() == [Rename(one, None)]  # its second half may have come late, and did not


def test_lost_renames_are_reported_as_missed(kernel: Inotify, tmp_path: Path) -> None:
    kernel.watch({tmp_path})
    kernel.renames()
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    names = [tmp_path / "a", tmp_path / "b"]
    names[0].touch()
    for number in range(limit // 2 + 10):
        names[number % 2].rename(names[1 - number % 2])
    assert kernel.renames() is None
    assert kernel.renames() == []


def test_the_number_of_kept_renames_is_bounded(
    kernel: Inotify, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.watch.inotify._RENAMES_MAX", 5)
    kernel.watch({tmp_path})
    kernel.renames()
    for _ in range(6):
        (tmp_path / "a").touch()
        (tmp_path / "a").unlink()
    assert kernel.renames() is None


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_renames_in_a_directory_that_cannot_be_watched_are_reported_as_missed(
    kernel: Inotify, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """The list of renames was empty, as if nothing had been renamed: of two rotations the file in the middle was lost."""
    refused, other = tmp_path / "refused", tmp_path / "other"
    refused.mkdir()
    other.mkdir()
    add_watch = Kernel.add_watch

    def refuse(self: Kernel, path: Path, mask: Mask) -> Watch:
        if path == refused:
            raise OSError(code, os.strerror(code), str(path))
        return add_watch(self, path, mask)

    monkeypatch.setattr(Kernel, "add_watch", refuse)
    for _ in range(2):
        with suppress(OSError):
            kernel.watch([refused, other])
        assert kernel.renames() is None
    (other / "file").touch()
    assert kernel.wait_for_changes(1) == {other}
    monkeypatch.undo()
    assert kernel.watch([refused, other])
    assert kernel.renames() is None
    assert not kernel.watch([refused, other])
    assert kernel.renames() == []
