"""A call asks another future for everything."""

from concurrent.futures import Future

import pytest

from consumer.query.calls import Call


def call_of(inner: "Future[int]") -> Call[int]:
    call = Call[int]()
    call.inner = inner
    return call


def test_a_call_shows_the_state_of_the_future_that_it_asks() -> None:
    inner = Future[int]()
    call = call_of(inner)
    assert not call.done()
    with pytest.raises(TimeoutError):
        call.result(0)
    inner.set_result(3)
    assert (call.done(), call.result(), call.exception(), call.cancel(), call.cancelled()) == (
        True,
        3,
        None,
        False,
        False,
    )


def test_a_call_can_be_cancelled_and_shows_an_error() -> None:
    call = call_of(Future())
    assert call.cancel()
    assert call.cancelled()
    failed = Future[int]()
    failed.set_exception(ZeroDivisionError())
    assert isinstance(call_of(failed).exception(), ZeroDivisionError)
