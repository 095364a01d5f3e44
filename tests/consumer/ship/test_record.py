from consumer.objects.store import StoredObject
from consumer.objects.url import ObjectUrl
from consumer.ship.local_files import Stamp
from consumer.ship.record import Record

STAMP, LATER = (Stamp(1, 2, 3),), (Stamp(1, 9, 3),)
OBJECT = StoredObject(ObjectUrl("s3", "bucket", "a"), 3, "etag", 0)


def test_a_file_is_verified_in_the_state_in_which_it_was_compared() -> None:
    record = Record()
    record.verified("a", STAMP, OBJECT)
    assert record.is_verified("a")
    assert record.is_verified("a", STAMP)
    assert not record.is_verified("a", LATER)
    assert not record.is_verified("b")


def test_a_file_waits_after_a_failure_until_it_changes() -> None:
    record = Record()
    assert record.waits("a", STAMP, 0.0) is None
    assert record.failed("a", STAMP, "reason", 0.0, lasting=True) == 1.0
    assert (found := record.waits("a", STAMP, 0.5)) is not None
    assert (found.reason, found.lasting, record.failures("a")) == ("reason", True, 1)
    assert record.waits("a", STAMP, 1.5) is None
    assert record.waits("a", LATER, 0.5) is None
    assert record.failed("a", STAMP, "reason", 1.5, lasting=True) == 2.0
    assert record.failed("a", LATER, "reason", 1.5, lasting=True) == 1.0


def test_a_success_ends_the_problem() -> None:
    record = Record()
    record.failed("a", STAMP, "reason", 0.0, lasting=False)
    record.verified("a", STAMP, OBJECT)
    assert record.problems == {}


def test_objects_that_were_removed_or_replaced_are_not_verified_any_more() -> None:
    record = Record()
    for name in "abc":
        record.verified(name, STAMP, OBJECT)
    assert record.changed_there({"a": OBJECT, "b": OBJECT._replace(etag="other")}) == [
        ("b", "the object was replaced"),
        ("c", "the object was removed"),
    ]
    assert [name for name in "abc" if record.is_verified(name)] == ["a"]


def test_files_that_are_gone_are_forgotten() -> None:
    record = Record()
    record.verified("a", STAMP, OBJECT)
    record.failed("b", STAMP, "reason", 0.0, lasting=False)
    record.keep(["c"])
    assert not record.is_verified("a")
    assert record.problems == {}
