from pathlib import Path

from consumer.archive.checking.fault_code import FaultCode
from consumer.archive.checking.verdict import Verdict


def test_a_fault_names_file_offset_and_reason() -> None:
    verdict = Verdict(Path("a.kvp.zst"))
    verdict.fault(FaultCode.GAP, 7, "damaged")
    assert list(map(str, verdict.faults)) == ["a.kvp.zst: at 7: damaged"]
