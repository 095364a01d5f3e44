"""Archives that change between the plan of a search and the reading of their batches."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from consumer.archive.listing import find_archives
from consumer.archive.reading.reader import ArchiveFile
from consumer.archive.reading.tombstones import add_tombstones
from consumer.archive.rewriting.compact import compact
from consumer.archive.writing.archive_log import ArchiveLog
from consumer.disk.durable import Disk
from consumer.query.query import Query
from consumer.query.search import Search
from tests.support.archive_logs import archive_log, some
from tests.support.rewriting import rewrite

BATCHES = 30


@pytest.fixture
def one(tmp_path: Path) -> ArchiveLog:
    """An open archive of many batches."""
    made = archive_log(tmp_path / "archive")
    for batch in range(BATCHES):
        made.append(some(10 * batch, 10))
    return made


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The directories that are read."""
    read, real = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: [read.append(str(path)), real(path)][1])
    return read


def planned(directory: Path, **settings: object) -> Search:
    job = Search([directory], Query(), **settings)
    job.plan()
    return job


def ids(job: Search) -> list[str]:
    return [event.id for event, _ in job]


EVERY = [f"id-{serial}" for serial in range(10 * BATCHES)]


def test_an_archive_that_is_sealed_after_the_plan_is_found_again_once(one: ArchiveLog, walks: list[str]) -> None:
    """The directories were walked again for each batch."""
    directory = one.settings.layout.directory
    job = planned(directory)
    one.roll("test")
    walks.clear()
    assert (ids(job), job.faults) == (EVERY, [])
    assert walks.count(str(directory)) <= 4, "one listing"


def test_an_archive_that_is_removed_after_the_plan_is_one_fault(one: ArchiveLog, walks: list[str]) -> None:
    """It was one for each batch."""
    directory = one.settings.layout.directory
    one.roll("test")
    (path,) = find_archives([directory])
    job = planned(directory)
    path.unlink()
    walks.clear()
    assert ids(job) == []
    assert [*map(str, job.faults)] == [f"{path}: No such file or directory"]
    assert walks.count(str(directory)) <= 4, "one listing"


def test_many_removed_archives_are_searched_for_together(tmp_path: Path, walks: list[str]) -> None:
    one = archive_log(tmp_path)
    for serial in range(20):
        one.append(some(serial, 1))
        one.roll("test")
    paths = find_archives([tmp_path])
    job = planned(tmp_path)
    for path in paths:
        path.unlink()
    walks.clear()
    assert ids(job) == []
    assert [*map(str, job.faults)] == [f"{path}: No such file or directory" for path in paths]
    assert walks.count(str(tmp_path)) <= 4


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The archives whose headers are walked."""
    walked, real = [], ArchiveFile.parts
    monkeypatch.setattr(
        ArchiveFile, "parts", lambda archive, *a, **k: [walked.append(archive), real(archive, *a, **k)][1]
    )
    return walked


@pytest.mark.parametrize("sizes", [[1000], [7], [3, 90, 1], [10]])
@pytest.mark.parametrize("workers", [0, 2])
def test_an_archive_that_is_repacked_after_the_plan_gives_each_event_once(
    one: ArchiveLog, looks: list[str], sizes: list[int], workers: int
) -> None:
    """Its headers were walked for each batch."""
    directory = one.settings.layout.directory
    one.roll("test")
    (path,) = find_archives([directory])
    with ThreadPoolExecutor(max(workers, 1)) as executor:
        job = planned(directory, executor=executor if workers else None)
        first = iter(job)
        found = [next(first).event.id for _ in range(15)]
        rewrite(path, sizes)
        looks.clear()
        found += [event.id for event, _ in first]
    assert (found, job.faults) == (EVERY, [])
    assert len(looks) <= 2


def test_an_archive_that_is_moved_and_compacted_after_the_plan_is_read(one: ArchiveLog) -> None:
    directory = one.settings.layout.directory
    job = planned(directory)
    one.roll("test")
    (path,) = find_archives([directory])
    with ArchiveFile(path) as archive:
        add_tombstones(Disk(), archive, [0, 155], "x", "2026-11-21T16:15:00.000000Z")
    assert [done.outcome for done in compact(Disk(), [path])] == ["compacted"]
    path.rename(directory / path.name)
    assert (ids(job), job.faults) == ([id for id in EVERY if id not in ("id-0", "id-155")], [])


def test_another_archive_of_the_same_name_is_not_read_instead(one: ArchiveLog, tmp_path: Path) -> None:
    directory = one.settings.layout.directory
    one.roll("test")
    (path,) = find_archives([directory])
    job = planned(directory)
    other = archive_log(tmp_path / "other")
    other.append(some(900, 10))
    other.roll("test")
    path.unlink()
    find_archives([tmp_path / "other"])[0].rename(
        directory / "20251121T161500.000000Z-20251121T161500.000000Z-one-00000001.kvp.zst"
    )
    assert ids(job) == []
    assert len(job.faults) == 1


def test_a_damaged_batch_is_a_fault_and_not_looked_for(one: ArchiveLog, walks: list[str]) -> None:
    directory = one.settings.layout.directory
    one.roll("test")
    (path,) = find_archives([directory])
    job = planned(directory)
    path.chmod(0o600)
    raw = bytearray(path.read_bytes())
    raw[500] ^= 1
    path.write_bytes(raw)
    walks.clear()
    assert len(ids(job)) == 290
    assert [str(fault).startswith(f"{path}: at ") for fault in job.faults] == [True]
    assert walks == []
