from consumer.ship.retention.limits import Limits


def test_without_a_limit_nothing_is_exceeded() -> None:
    assert not Limits()
    assert Limits().exceeded(1e9, 1 << 60, 10**9, 0) == ()


def test_each_limit_names_itself_when_it_is_exceeded_and_not_when_it_is_reached() -> None:
    limits = Limits(age_s=60, bytes=1000, count=1, free_bytes=50)
    assert limits
    assert limits.exceeded(60, 1000, 1, 50) == ()
    assert limits.exceeded(61, 1001, 2, 49) == (
        "older than 1 minute",
        "more than 1,000 bytes in all",
        "more than 1 archive",
        "less than 50 bytes free",
    )


def test_an_age_is_shown_in_the_largest_unit_that_fits() -> None:
    texts = [Limits(age_s=age).exceeded(1e12, 0, 0, 0)[0] for age in (30 * 86_400, 86_400, 7200, 90, 1.5)]
    assert texts == [f"older than {text}" for text in ("30 days", "1 day", "2 hours", "90 s", "1.5 s")]
