from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from codec.digest import ListedArchive
from consumer.archive.checking.fault_code import FaultCode
from consumer.archive.checking.listed import check_listed
from consumer.archive.checking.verdict import ArchiveState, GapClass, Verdict
from consumer.archive.digests.chain import InstanceChain
from consumer.archive.naming import ArchiveId
from tests.codec.test_digest import ARCHIVE

SHA, OTHER = ARCHIVE.sha256, "cd" * 32


def verdict(**changes: object) -> Verdict:
    found = Verdict(
        Path("x"), ArchiveId("one", 7), size=ARCHIVE.size, events=ARCHIVE.events, state=ArchiveState.SEALED,
        head=str(ARCHIVE.head), footer=ARCHIVE.footer, sha256=SHA,
    )  # fmt: skip
    return replace(found, **changes)  # type: ignore[arg-type]


def chain(*entries: ListedArchive) -> InstanceChain:
    return InstanceChain("one", listed={7: list(enumerate(entries, 3))})


def codes(found: Verdict, *entries: ListedArchive, others: Sequence[Verdict] = ()) -> list[FaultCode]:
    check_listed(found, chain(*entries), others)
    return [fault.code for fault in found.faults]


def test_the_listed_archive_is_accepted_and_its_sha256_is_known() -> None:
    found = verdict(sha256=None)
    assert codes(found, ARCHIVE) == []
    assert (found.sha256, found.original) == (SHA, SHA)


@pytest.mark.parametrize(
    "change", [{"size": 1}, {"head": "00"}, {"footer": None}, {"footer": OTHER}, {"sha256": OTHER}], ids=str
)
def test_another_archive_is_a_fault_that_names_the_difference(change: dict[str, object]) -> None:
    found = verdict(**change)
    assert codes(found, ARCHIVE) == [FaultCode.ARCHIVE_CHANGED]
    assert "digest 3 lists" in found.faults[0].reason


def test_an_archive_that_no_digest_lists_is_not_judged() -> None:
    assert codes(verdict(size=1)) == []
    found = verdict(size=1)
    check_listed(found, None)
    assert found.faults == []


def test_a_rewriting_of_the_listed_archive_is_accepted() -> None:
    assert codes(verdict(size=1, footer=OTHER, sha256=OTHER, rewritten_from=SHA), ARCHIVE) == []


def test_a_rewriting_with_fewer_events_is_a_fault() -> None:
    found = verdict(size=1, rewritten_from=SHA, events=2)
    assert codes(found, ARCHIVE) == [FaultCode.EVENTS_MISSING]
    assert codes(verdict(size=1, rewritten_from=SHA, events=2, lost=1), ARCHIVE) == []  # a repair says what it lost


def test_a_rewriting_of_another_archive_is_a_fault() -> None:
    assert codes(verdict(size=1, rewritten_from=OTHER), ARCHIVE) == [FaultCode.ARCHIVE_CHANGED]
    assert codes(verdict(size=1, rewritten_from=SHA, head="00"), ARCHIVE) == [FaultCode.ARCHIVE_CHANGED]


LATER = msgspec.structs.replace(ARCHIVE, size=1, sha256=OTHER, footer=OTHER, original=SHA)


def rewritten() -> Verdict:
    return verdict(size=1, footer=OTHER, sha256=OTHER, rewritten_from=SHA)


@pytest.mark.parametrize("entries", [(LATER,), (ARCHIVE, LATER)], ids=["never listed", "listed before"])
def test_an_older_version_is_delayed_only_while_another_place_has_the_listed_one(
    entries: tuple[ListedArchive, ...],
) -> None:
    """A destination has it until the rewriting is shipped. If no place has the rewriting, nothing ever replaces it."""
    assert codes(rewritten(), *entries) == []
    found = verdict()
    assert (codes(found, *entries, others=[rewritten()]), found.gap) == ([], GapClass.DELAYED)
    for others in ([], [verdict()], [verdict(size=2, sha256=OTHER)]):
        found = verdict()
        assert (codes(found, *entries, others=others), found.gap) == ([FaultCode.ARCHIVE_CHANGED], None)
        assert "an older version of the archive that digest" in found.faults[0].reason
    assert codes(verdict(sha256="ef" * 32), *entries, others=[rewritten()]) == [FaultCode.ARCHIVE_CHANGED]
    assert codes(verdict(head="00"), *entries, others=[rewritten()]) == [FaultCode.ARCHIVE_CHANGED]


def test_an_older_rewriting_is_no_rewriting_of_the_listed_one() -> None:
    """Both name the file that was sealed."""
    newest = msgspec.structs.replace(LATER, size=2, sha256="ef" * 32, footer="ef" * 32)
    assert codes(rewritten(), ARCHIVE, LATER, newest) == [FaultCode.ARCHIVE_CHANGED]


def test_a_repaired_archive_that_was_listed_damaged_is_accepted() -> None:
    damaged = msgspec.structs.replace(ARCHIVE, head=None, footer=None)
    assert codes(verdict(size=1, rewritten_from=damaged.sha256), damaged) == []


@pytest.mark.parametrize("state", [ArchiveState.OPEN, ArchiveState.ORPHANED, ArchiveState.UNREADABLE])
def test_only_sealed_archives_are_compared(state: ArchiveState) -> None:
    assert codes(verdict(size=1, state=state), ARCHIVE) == []
