import pytest

from consumer.ship.compare import Difference, Facts, compare, facts_of

SEALED = Facts(100, "s0", "s0", "c0")  # an archive, or its object
REPACKED = Facts(80, "s1", "s0", "c1")
REPACKED_UNREAD = Facts(80, None, "s0", "c1")  # as a local file is known before it is read


@pytest.mark.parametrize(
    ("local", "there", "expected"),
    [
        (SEALED, None, Difference.ABSENT),
        (SEALED, SEALED, Difference.SAME),
        (REPACKED_UNREAD, REPACKED, Difference.SAME),
        (REPACKED_UNREAD, SEALED, Difference.REWRITTEN),
        (REPACKED, Facts(100, "s0"), Difference.REWRITTEN),  # an object that another program has put
        (REPACKED_UNREAD, Facts(80, "s2", "s0", "c2"), Difference.REWRITTEN),
        (SEALED, Facts(100, "x", "x", "x"), Difference.OTHER),
        (SEALED, Facts(99, "s0", "s0", "c0"), Difference.OTHER),  # cut short
        (SEALED, REPACKED, Difference.OTHER),  # the object is newer than the file
        (REPACKED_UNREAD, Facts(80, "x", "x", "x"), Difference.OTHER),
        (SEALED, Facts(100), Difference.UNKNOWN),
        (REPACKED_UNREAD, Facts(80, "s1"), Difference.UNKNOWN),
        (Facts(100, None, None, "c0"), SEALED, Difference.UNKNOWN),  # no record has the SHA-256 of the file
    ],
)
def test_the_difference(local: Facts, there: Facts | None, expected: Difference) -> None:
    assert compare(local, there) is expected


def test_the_attributes_of_an_object_are_its_facts() -> None:
    assert facts_of(80, REPACKED.attributes | {"other": "x"}) == REPACKED
    assert Facts(5, "s").attributes == {"sha256": "s"}
