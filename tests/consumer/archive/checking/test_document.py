import json
from pathlib import Path

from consumer.archive.checking.document import FAULTS_MAX, Document
from consumer.archive.checking.fault_code import FaultCode
from consumer.archive.checking.proof import Proof
from consumer.archive.checking.report import Totals
from consumer.archive.checking.verdict import ArchiveState, GapClass, Verdict
from consumer.archive.naming import ArchiveId


def test_the_document_holds_the_result_in_one_line() -> None:
    document, totals, proof = Document(), Totals(), Proof()
    damaged = Verdict(Path("caf\udce9"), ArchiveId("one", 1), events=3, state=ArchiveState.SEALED)
    damaged.fault(FaultCode.GAP, 7, "damaged")
    delayed = Verdict(Path("y"), ArchiveId("one", 2), state=ArchiveState.MISSING, gap=GapClass.DELAYED)
    retired = Verdict(Path("z"), ArchiveId("one", 3), state=ArchiveState.MISSING, gap=GapClass.RETIRED)
    for verdict in (damaged, delayed, retired):
        document.add(verdict)
        totals.add(verdict)
        proof.add(verdict)
    text = document.encode(totals, proof)
    assert "\n" not in text
    found = json.loads(text)
    assert (found["complete"], found["archives"], found["events"], found["fault_count"]) == (False, 1, 3, 1)
    assert found["faults"] == [{"archive": "one-00000001", "code": "gap", "fault": "caf?: at 7: damaged"}]
    assert found["gaps"] == [{"archive": "one-00000002", "path": "y", "class": "delayed"}]
    assert found["gap_counts"] == {
        "delayed": 1,
        "uploading": 0,
        "retired": 1,
        "elsewhere": 0,
        "acknowledged": 0,
        "lost": 0,
    }
    assert found["proof"]["without_digests"] == ["one"]
    assert found["proof"]["deep"] == 1


def test_the_lists_are_bounded_and_the_counts_are_not() -> None:
    document, totals = Document(), Totals()
    verdict = Verdict(Path("x"), ArchiveId("one", 1))
    for offset in range(FAULTS_MAX + 5):
        verdict.fault(FaultCode.GAP, offset, "damaged")
    document.add(verdict)
    totals.add(verdict)
    found = json.loads(document.encode(totals, Proof()))
    assert (len(found["faults"]), found["fault_count"]) == (FAULTS_MAX, FAULTS_MAX + 5)
