"""The memory of `verify --deep --budget`."""

import os
from pathlib import Path

import pytest

from consumer.archive.checking import proofs as module
from consumer.archive.checking.check import Check, check
from consumer.archive.checking.fault_code import FaultCode
from consumer.archive.checking.proofs import Proofs
from consumer.archive.listing import find_archives
from consumer.archive.location import Location
from consumer.disk.durable import Disk
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from tests.support.archive_logs import archive_log, some


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Four archives of almost the same size."""
    log = archive_log(tmp_path / "archive")
    for first in range(0, 40, 10):
        log.append(some(first, 4))
        log.roll("count")
    return tmp_path / "archive"


def run(root: Location, now_us: int, archives: float, folder: Path, bad: frozenset[int] = frozenset()) -> list[int]:
    """One run with a budget for this number of archives. Returns the sequences that were read."""
    found = find_archives([root])
    size = 1100
    memory = Proofs(Disk(), [root], folder, int(archives * size), now_us)
    chosen = memory.select(found)
    for location in found:
        verdict = check(Check(location, location in chosen))
        if verdict.id and verdict.id.sequence in bad:
            verdict.fault(FaultCode.GAP, 0, "damaged")
        memory.note(verdict)
    memory.save()
    return [number for number, location in enumerate(found, 1) if location in chosen]


def test_the_archives_that_were_read_longest_ago_come_first(directory: Path, tmp_path: Path) -> None:
    """restic#1497, #3490: a full read takes days."""
    assert [run(directory, now, 2, tmp_path) for now in (1, 2, 3)] == [[1, 2], [3, 4], [1, 2]]


def test_at_least_one_archive_is_read(directory: Path, tmp_path: Path) -> None:
    assert [run(directory, now, 0.01, tmp_path) for now in (1, 2, 3, 4, 5)] == [[1], [2], [3], [4], [1]]


def test_an_archive_that_changed_counts_as_never_read(directory: Path, tmp_path: Path) -> None:
    """restic#3097: with a cache some files are never checked. A cache never replaces a check."""
    run(directory, 1, 9, tmp_path)
    third = find_archives([directory])[2]
    os.utime(third, (0, 0))
    assert run(directory, 2, 1, tmp_path) == [3]


@pytest.mark.parametrize("raw", [b"", b"damaged", b'{"version":2}', b'{"version":1,"archives":[{}]}', b"[" * 9999])
def test_a_damaged_memory_costs_repetition_only(directory: Path, tmp_path: Path, raw: bytes) -> None:
    run(directory, 1, 2, tmp_path)
    (directory / module.NAME).write_bytes(raw)
    assert run(directory, 2, 2, tmp_path) == [1, 2]
    assert run(directory, 3, 2, tmp_path) == [3, 4]


def test_an_archive_that_was_found_damaged_is_read_in_every_run_besides_the_budget(
    directory: Path, tmp_path: Path
) -> None:
    bad = frozenset({2})
    assert [run(directory, now, 2, tmp_path, bad) for now in (1, 2, 3)] == [[1, 2], [2, 3, 4], [1, 2, 3]]
    assert run(directory, 4, 2, tmp_path) == [1, 2, 4]  # repaired: it is good again
    assert run(directory, 5, 2, tmp_path) == [1, 3]


def test_archives_that_are_gone_are_forgotten(directory: Path, tmp_path: Path) -> None:
    run(directory, 1, 9, tmp_path)
    find_archives([directory])[0].unlink()
    run(directory, 2, 1, tmp_path)
    assert (directory / module.NAME).read_bytes().count(b'"path"') == 3


def test_the_memory_of_a_url_is_in_the_folder_of_the_user(directory: Path, tmp_path: Path) -> None:
    url = ObjectUrl("memory", tmp_path.name, "prefix")
    for path in find_archives([directory]):
        store_of(url).put(url / path.name, path.read_bytes(), {})
    folder = tmp_path / "state" / "verify"
    assert [run(url, now, 2, folder) for now in (1, 2)] == [[1, 2], [3, 4]]
    assert len(list(folder.iterdir())) == 1
    first = find_archives([url])[0]
    store_of(first).put(first, directory.joinpath(*find_archives([directory])[0].parts[-2:]).read_bytes() + b"", {})
    assert run(url, 3, 1, folder) == [1]  # another version of the object


def test_named_files_are_remembered_too(directory: Path, tmp_path: Path) -> None:
    first = find_archives([directory])[0]
    assert run(first, 1, 1, tmp_path / "state") == [1]
    assert len(list((tmp_path / "state").iterdir())) == 1


def test_the_summary_names_what_was_never_read(directory: Path, tmp_path: Path) -> None:
    run(directory, 7, 2, tmp_path)
    memory = Proofs(Disk(), [directory], tmp_path, 1, 8)
    memory.select(find_archives([directory]))
    assert (memory.never, memory.oldest_us) == (2, 7)


def test_the_memory_is_written_during_a_long_run(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAVE_BYTES", 1)
    memory = Proofs(Disk(), [directory], tmp_path, 1 << 30, 1)
    found = find_archives([directory])
    memory.select(found)
    memory.note(check(Check(found[0])))
    assert (directory / module.NAME).read_bytes().count(b'"path"') == 1
