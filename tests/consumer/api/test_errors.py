from pathlib import Path

from consumer.api.errors import ReadError
from consumer.archive.reading.fault import ReadFault

FAULT = ReadFault(Path("a.kvp.zst"), 4096, "batch 3: bad checksum")


def test_the_message_has_the_first_fault_and_the_count_of_the_others() -> None:
    assert str(ReadError([FAULT])) == (
        "not everything could be read: a.kvp.zst: at 4096: batch 3: bad checksum; check the archives with `deedbox verify`"
    )
    assert "(and 2 more, see `faults`)" in str(ReadError([FAULT] * 3))
    assert ReadError([FAULT]).faults == [FAULT]
