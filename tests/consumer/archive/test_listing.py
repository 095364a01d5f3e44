import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from consumer.archive import naming
from consumer.archive.checking.verify import verify
from consumer.archive.listing import find_archives
from consumer.archive.reading.reader import open_archive
from tests.support.archive_logs import START_US, archive_log, event, some


def test_archives_come_in_the_order_of_instance_and_sequence(tmp_path: Path) -> None:
    for instance in ("two", "one"):
        writer = archive_log(tmp_path, instance=instance)
        for at in range(0, 30, 10):
            writer.append(some(at, 10))
            if at < 20:
                writer.roll("test")
    (tmp_path / "100-160.bak").touch()
    names = [path.name.split("-", 2)[-1].split(".")[0] for path in find_archives([tmp_path])]
    assert names[:2] == ["one-00000001", "one-00000002"]
    assert [path.name.startswith("one") or "-one-" in path.name for path in find_archives([tmp_path])] == [True] * 3 + [
        False
    ] * 3


def test_a_file_that_was_named_is_kept_as_it_is(tmp_path: Path) -> None:
    assert find_archives([tmp_path / "whatever"]) == [tmp_path / "whatever"]


def test_a_directory_that_cannot_be_read_is_a_fault_of_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive_log(tmp_path).append(some(0, 5))
    (tmp_path / "secret").mkdir()
    real = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert find_archives([tmp_path])[-1] == tmp_path / "secret"
    assert [bool(verdict.faults) for verdict in verify([tmp_path])] == [False, True]


def test_archives_of_one_id_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    name = "20251121T161500.000000Z-20251121T161500.000000Z-one-00000001.kvp.zst"
    for place in ("b", "a", "c"):
        (tmp_path / place).mkdir()
        (tmp_path / place / name).touch()
    assert [path.parent.name for path in find_archives([tmp_path])] == ["a", "b", "c"]


class Scan:
    """The result of `os.scandir`. `after_reading` is called after the names were read and before any file is opened."""

    def __init__(self, entries: Iterator[os.DirEntry[str]], after_reading: Callable[[], None]) -> None:
        with entries:
            self._entries = iter(list(entries))
        after_reading()

    def __enter__(self) -> "Scan":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        pass

    def __iter__(self) -> "Scan":
        return self

    def __next__(self) -> os.DirEntry[str]:
        return next(self._entries)


@pytest.mark.parametrize("step", range(12))
def test_an_archive_that_is_sealed_at_any_step_of_a_listing_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """The name that had been read was dropped, because no file was there any more."""
    one = archive_log(tmp_path, instance="late")
    one.append(some(0, 1))
    one.roll("test")  # a date folder that the first walk enters
    one.append([event(1)._replace(arrived_us=START_US + 86_400_000_000)])  # its folder is not there yet
    real, steps = os.scandir, count()

    def roll() -> None:
        if next(steps) == step and one.writer:
            one.roll("test")

    monkeypatch.setattr(os, "scandir", lambda path: Scan(real(path), roll))
    found = find_archives([tmp_path])
    monkeypatch.undo()
    ids = {str(naming.parse_sealed(path) or naming.parse_open(path)) for path in found}
    assert ids == {"late-00000001", "late-00000002"}
    for path in found:
        open_archive(path).close()


def test_a_listing_ends_while_a_writer_rolls_at_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 1))
    real, steps = os.scandir, 0

    def scan(path: str) -> object:
        nonlocal steps
        steps += 1
        one.roll("test")
        one.append([event(steps)._replace(arrived_us=START_US + steps * 86_400_000_000)])
        return real(path)

    monkeypatch.setattr(os, "scandir", scan)
    find_archives([tmp_path])
    assert steps < 100


def test_two_paths_that_lead_to_one_file_list_it_once(tmp_path: Path) -> None:
    one = archive_log(tmp_path / "archive")
    one.append(some(0, 1))
    one.roll("test")
    (tmp_path / "link").symlink_to(tmp_path / "archive")
    (sealed,) = find_archives([tmp_path / "archive"])
    assert find_archives([tmp_path / "archive", sealed.parent, sealed, tmp_path / "link"]) == [sealed]


def test_a_link_to_nothing_is_listed_so_that_its_reader_names_it(tmp_path: Path) -> None:
    (tmp_path / "one-00000001.kvp.zst.open").symlink_to(tmp_path / "nothing")
    assert find_archives([tmp_path]) == [tmp_path / "one-00000001.kvp.zst.open"]


@pytest.mark.parametrize("reverse", [False, True])
def test_archives_in_directories_that_links_lead_to_are_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reverse: bool
) -> None:
    """A folder that had been moved to another disk, with a link in its place, was left out in silence."""
    scan = os.scandir

    @contextmanager
    def in_order(path: str) -> Iterator[Iterator[os.DirEntry[str]]]:
        with scan(path) as entries:  # a file system gives names in any order
            yield iter(sorted(entries, key=lambda entry: entry.name, reverse=reverse))

    monkeypatch.setattr(os, "scandir", in_order)
    one = archive_log(tmp_path / "archive")
    for at in range(2):
        one.append(some(at, 1))
        one.roll("test")
    one.append(some(2, 1))
    before = find_archives([tmp_path / "archive"])
    folder = before[0].parent
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    (tmp_path / "archive" / "newest").symlink_to(folder.name)
    assert find_archives([tmp_path / "archive"]) == before
    assert find_archives([tmp_path / "moved", tmp_path / "archive"])[2:] == before[2:]


def test_links_that_lead_round_or_up_are_not_followed(tmp_path: Path) -> None:
    inner, outer = tmp_path / "a" / "inner", tmp_path / "b"
    inner.parent.mkdir()
    archive_log(inner).append(some(0, 1))
    archive_log(outer, instance="two").append(some(0, 1))
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "round").symlink_to(inner)
    (inner / "out").symlink_to(outer)
    (outer / "back").symlink_to(tmp_path / "a")
    names = [path.name for path in find_archives([tmp_path / "a"])]
    assert names == ["one-00000001.kvp.zst.open", "two-00000001.kvp.zst.open"]


class Torn:
    """A directory that is read in two pieces. A change in between is not in the first one."""

    def __init__(self, entries: "Iterator[os.DirEntry[str]]", between: Callable[[], None]) -> None:
        before = list(entries)
        between()
        self._entries = iter([one for one in before if os.path.lexists(one.path)])

    def __enter__(self) -> "Iterator[os.DirEntry[str]]":
        return self._entries

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("step", range(6))
def test_an_archive_that_is_sealed_while_a_large_directory_is_read_is_in_the_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Neither its open name nor its new folder is in the first walk."""
    one = archive_log(tmp_path, instance="late")
    one.append(some(0, 1))
    one.roll("test")
    one.append([event(1)._replace(arrived_us=START_US + 86_400_000_000)])
    real, steps = os.scandir, count()

    def roll() -> None:
        if next(steps) == step and one.writer:
            one.roll("test")

    monkeypatch.setattr(os, "scandir", lambda path: Torn(real(path), roll))
    found = find_archives([tmp_path])
    ids = {str(naming.parse_sealed(path) or naming.parse_open(path)) for path in found}
    assert ids == {"late-00000001", "late-00000002"}


def test_an_archive_that_is_removed_during_a_listing_is_in_it_so_that_its_reader_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = archive_log(tmp_path)
    for first in range(2):
        one.append(some(first, 1))
        one.roll("test")
    gone = find_archives([tmp_path])[0]
    real, steps = os.scandir, count()

    def scan(path: str) -> "Iterator[os.DirEntry[str]]":
        if next(steps) == 2:  # the second walk begins
            gone.unlink()
        return real(path)

    monkeypatch.setattr(os, "scandir", scan)
    assert gone in find_archives([tmp_path])
