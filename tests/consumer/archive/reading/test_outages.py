import pytest

from consumer.archive.reading import outages
from consumer.archive.reading.outages import answered
from consumer.objects.errors import AccessDenied, Unreachable
from consumer.objects.url import ObjectUrl

URL = ObjectUrl("s3", "outages", "one")


class Storage:
    """`calls`: the requests that reached it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls, self.error = 0, error

    def __call__(self) -> int:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return self.calls


def test_after_a_request_without_an_answer_others_fail_at_once_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(outages, "monotonic", lambda: now)
    storage = Storage(Unreachable(URL, "no connection", "check the endpoint"))
    other = URL.with_name("two")
    for url in (URL, other):
        with pytest.raises(Unreachable) as raised:
            answered(url, storage)
    assert (storage.calls, str(raised.value)) == (1, f"{other}: no connection; check the endpoint")
    assert answered(ObjectUrl("s3", "another", "one"), Storage()) == 1
    now += outages.OUTAGE_S
    assert answered(URL, Storage()) == 1


def test_an_error_that_is_an_answer_is_no_outage() -> None:
    storage = Storage(AccessDenied(ObjectUrl("s3", "denied", "one"), "denied"))
    for _ in range(2):
        with pytest.raises(AccessDenied):
            answered(ObjectUrl("s3", "denied", "one"), storage)
    assert storage.calls == 2
