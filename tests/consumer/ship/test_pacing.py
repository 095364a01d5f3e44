from consumer.ship.pacing import PAUSE_S_MAX, PAUSE_S_MIN, Backoff, Bandwidth


def test_without_a_limit_nothing_waits() -> None:
    assert [Bandwidth(0).reserve(1 << 30, 0.0) for _ in range(3)] == [0.0] * 3


def test_the_rate_is_that_of_the_limit() -> None:
    limit, now = Bandwidth(1024), 50.0
    for _ in range(101):
        now += limit.reserve(256, now)
    assert now == 75.0  # the first piece does not wait


def test_pieces_of_several_uploads_share_the_limit() -> None:
    limit = Bandwidth(1000)
    assert [limit.reserve(500, 7.0) for _ in range(4)] == [0.0, 0.5, 1.0, 1.5]


def test_time_that_was_not_used_is_not_saved() -> None:
    limit = Bandwidth(1000)
    limit.reserve(1000, 0.0)
    assert limit.reserve(1000, 100.0) == 0.0
    assert limit.reserve(1000, 100.0) == 1.0


def test_pauses_grow_to_a_limit_and_a_success_ends_them() -> None:
    backoff = Backoff()
    assert backoff.wait_s(0.0) == 0.0
    pauses = [backoff.failed(10.0) for _ in range(40)]
    assert pauses[:4] == [PAUSE_S_MIN, 2.0, 4.0, 8.0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == PAUSE_S_MAX
    assert backoff.wait_s(11.0) == PAUSE_S_MAX - 1.0
    backoff.succeeded()
    assert (backoff.wait_s(11.0), backoff.failed(0.0)) == (0.0, PAUSE_S_MIN)
