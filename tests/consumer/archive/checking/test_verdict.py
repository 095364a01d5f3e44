from pathlib import Path

from consumer.archive.checking.fault_code import FaultCode
from consumer.archive.checking.verdict import Verdict


def test_a_fault_names_file_offset_and_reason() -> None:
    verdict = Verdict(Path("a.kvp.zst"))
    verdict.fault(FaultCode.GAP, 7, "damaged")
    assert list(map(str, verdict.faults)) == ["a.kvp.zst: at 7: damaged"]


def test_the_fault_of_an_archive_that_is_missing_has_no_offset() -> None:
    verdict = Verdict(Path("one-00000001"))
    verdict.fault(FaultCode.ARCHIVE_MISSING, None, "archive one-00000001 is missing")
    assert list(map(str, verdict.faults)) == ["one-00000001: archive one-00000001 is missing"]
