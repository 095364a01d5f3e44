from pathlib import Path

import msgspec

from codec.digest import StoredDigest, encode_digest
from consumer.archive.checking.fault_code import FaultCode
from consumer.archive.checking.proof import Proof
from consumer.archive.checking.verdict import ArchiveState, GapClass, Verdict
from consumer.archive.digests.chain import ChainFault, ChainFaultCode, InstanceChain
from consumer.archive.naming import ArchiveId
from tests.codec.test_digest import BEFORE


def test_the_lines_say_what_was_proved_and_how() -> None:
    proof = Proof()
    proof.add_chains([InstanceChain("one", digests={2: BEFORE}, signed=2)], with_keys=True)
    proof.add(Verdict(Path("x"), ArchiveId("one", 1), size=1 << 20))
    assert proof.lines() == [
        "with digests: one: every archive that was sealed until 1970-01-01T00:00:00.000020Z was looked for (1 digest, signed)"
    ]
    proof.add(Verdict(Path("x"), ArchiveId("two", 1), deep=False))
    assert proof.lines()[1:] == [
        "without digests: two: the removal of the newest archives, or of all, may not be noticed",
        "deep: 1 archive read as a whole (1.0 MiB); 1 archive read by head and footer only",
    ]


def test_a_chain_with_faults_or_without_signatures_is_not_called_a_proof() -> None:
    fault = ChainFault(1, ChainFaultCode.MISSING, "digest 1 is missing")
    proof = Proof()
    proof.add_chains([InstanceChain("one", digests={2: BEFORE}, faults=[fault], signed=1)], with_keys=True)
    assert proof.lines() == [
        "with digests: one: 1 digest, NOT signed to the end, NOT whole, until 1970-01-01T00:00:00.000020Z"
    ]


def test_a_lost_archive_that_is_acknowledged_has_its_own_class() -> None:
    proof, lost = Proof(), Verdict(Path("x"), state=ArchiveState.MISSING, gap=GapClass.LOST)
    proof.add(lost)
    lost.fault(FaultCode.ARCHIVE_MISSING, 0, "gone")
    proof.add(lost)
    proof.add(Verdict(Path("x"), state=ArchiveState.MISSING, gap=GapClass.DELAYED))
    assert proof.gaps == {GapClass.ACKNOWLEDGED: 1, GapClass.LOST: 1, GapClass.DELAYED: 1}
    assert (proof.deep, proof.light) == (0, 0)


def test_nothing_is_proved_of_the_future() -> None:
    """The clock was ahead when the digest was made."""
    chain = InstanceChain("one", digests={2: BEFORE})
    early, ahead = Proof(now_us=19), BEFORE.digest.until_us
    early.add_chains([chain], with_keys=False)
    assert ahead == 20
    assert early.lines() == [
        (
            "with digests: one: no time is proved (1 digest; the clock was ahead when a digest was made, and went back: "
            "their spans end at 1970-01-01T00:00:00.000020Z)"
        )
    ]
    later = msgspec.structs.replace(BEFORE.digest, number=3, clock_us=15)
    chain.digests[3] = StoredDigest(later, encode_digest(later))
    proof = Proof(now_us=16)
    proof.add_chains([chain], with_keys=False)
    assert proof.lines() == [
        (
            "with digests: one: every archive that was sealed until 1970-01-01T00:00:00.000015Z was looked for (2 digests; "
            "the clock was ahead when a digest was made, and went back: their spans end at 1970-01-01T00:00:00.000020Z)"
        )
    ]
