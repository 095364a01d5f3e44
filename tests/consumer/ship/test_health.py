from consumer.objects.errors import BucketMissing, ObjectError, PermissionNeeded, Unavailable
from consumer.objects.url import ObjectUrl
from consumer.ship.health import DENIED_MAX, FAILURES_MAX, Health

URL = ObjectUrl("s3", "bucket", "key")
DENIED, FAILED = PermissionNeeded(URL, "403"), Unavailable(URL, "503")


def after(*outcomes: object) -> Health:
    health = Health()
    for outcome in outcomes:
        health.note(outcome)
    return health


def test_only_failures_in_a_row_are_failures_of_the_destination() -> None:
    assert not after(*[FAILED] * (FAILURES_MAX - 1)).is_down
    assert not after(*[FAILED, FAILED, None] * 5).is_down
    assert after(*[FAILED] * FAILURES_MAX).fault is FAILED
    assert after(BucketMissing(URL, "there is no bucket")).is_down


def test_several_denied_objects_in_a_row_end_one_part_of_a_pass() -> None:
    assert not after(*[DENIED] * (DENIED_MAX - 1)).is_down
    health = after(*[DENIED] * DENIED_MAX)
    assert health.is_down
    health.begin_part()
    assert (health.is_down, health.fault) == (False, DENIED)
    health.works()
    assert health.fault is None


def test_other_failures_end_all_parts() -> None:
    health = after(*[FAILED] * FAILURES_MAX)
    health.begin_part()
    assert health.is_down


def test_the_first_failure_is_named() -> None:
    health, first = Health(), ObjectError(URL, "first")
    health.fail(first)
    health.fail(FAILED)
    assert health.fault is first
