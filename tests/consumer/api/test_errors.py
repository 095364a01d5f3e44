from pathlib import Path

from consumer.api.errors import ReadError, wrong_type
from consumer.archive.reading.fault import ReadFault

FAULT = ReadFault(Path("a.kvp.zst"), 4096, "batch 3: bad checksum")


def test_the_message_has_the_first_fault_and_the_count_of_the_others() -> None:
    assert str(ReadError([FAULT])) == (
        "not everything could be read: a.kvp.zst: at 4096: batch 3: bad checksum; check the archives with `deedbox verify`"
    )
    assert "(and 2 more, see `faults`)" in str(ReadError([FAULT] * 3))
    assert ReadError([FAULT]).faults == [FAULT]


def test_a_wrong_type_is_reported_with_what_was_found_and_expected() -> None:
    assert str(wrong_type("limit", 2.5, "an integer")) == "limit: expected an integer, found 2.5 of type float"
    assert len(str(wrong_type("limit", "x" * 1000, "an integer"))) < 100
