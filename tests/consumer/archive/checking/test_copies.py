from dataclasses import replace
from pathlib import Path

import pytest

from consumer.archive.checking.copies import Copies
from consumer.archive.checking.fault_code import FaultCode
from consumer.archive.checking.verdict import ArchiveState, Verdict
from consumer.archive.listing import find_archives
from consumer.archive.naming import ArchiveId
from tests.consumer.archive.checking.test_check import sha256
from tests.support.archive_logs import archive_log, some

SHA, OTHER = "ab" * 32, "cd" * 32
FIRST = Verdict(
    Path("x"), ArchiveId("one", 7), size=5, state=ArchiveState.SEALED, head="aa", footer=SHA, sha256=SHA, original=SHA
)


def codes(*changes: dict[str, object]) -> list[FaultCode]:
    """The faults of copies at places 0, 1, …, each with changes of FIRST."""
    copies, found = Copies(), []
    for place, change in enumerate(changes):
        verdict = replace(FIRST, faults=[], **{"place": place, **change})  # type: ignore[arg-type]
        copies.check(verdict)
        found += [fault.code for fault in verdict.faults]
    return found


def test_equal_copies_are_accepted() -> None:
    assert codes({}, {}, {"sha256": None, "original": None}) == []


@pytest.mark.parametrize(
    "change", [{"size": 6}, {"head": "bb"}, {"footer": OTHER}, {"sha256": OTHER, "original": OTHER}], ids=str
)
def test_a_different_copy_is_a_fault(change: dict[str, object]) -> None:
    assert codes({}, change) == [FaultCode.COPIES_DIFFER]
    assert codes(change, {}) == [FaultCode.COPIES_DIFFER]


REWRITTEN = {"size": 6, "footer": OTHER, "sha256": OTHER, "rewritten_from": SHA}


def test_a_rewriting_is_accepted_in_either_order() -> None:
    assert codes({}, REWRITTEN) == codes(REWRITTEN, {}) == []
    assert codes({**REWRITTEN, "size": 9, "sha256": None}, REWRITTEN) == []  # two rewritings of one original


def test_a_rewriting_of_another_archive_is_a_fault() -> None:
    assert codes({}, {**REWRITTEN, "rewritten_from": OTHER, "original": OTHER}) == [FaultCode.COPIES_DIFFER]
    assert codes({}, {**REWRITTEN, "head": "bb"}) == [FaultCode.COPIES_DIFFER]


def test_files_of_one_place_and_damaged_archives_are_not_compared() -> None:
    assert codes({}, {"place": 0, "size": 6}, {"state": ArchiveState.TRUNCATED, "size": 6}, {"id": None}) == []


def test_a_sha256_that_is_needed_and_not_known_is_computed(tmp_path: Path) -> None:
    log = archive_log(tmp_path)
    log.append(some(0, 2))
    log.roll("stop")
    (path,) = find_archives([tmp_path])
    unknown = {"path": path, "sha256": None, "original": None}
    rewritten = {"size": 6, "footer": OTHER, "sha256": OTHER, "original": sha256(path), "rewritten_from": sha256(path)}
    assert codes(unknown, rewritten) == []
    assert codes(unknown, {**rewritten, "original": SHA, "rewritten_from": SHA}) == [FaultCode.COPIES_DIFFER]
