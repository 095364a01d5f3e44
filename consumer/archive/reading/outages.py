"""Outages of object storages: after a request that got no answer in its time, the next ones to the same bucket fail at once for a while.

Role: each request is repeated for a minute by the store. Without this, a command that reads a thousand archives would wait a minute for each of them.
"""

from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import TypeVar

from consumer.objects.errors import ObjectError
from consumer.objects.url import ObjectUrl

OUTAGE_S = 30.0
R = TypeVar("R")


class _Known:
    """The outages that this process has seen: the error and when it is forgotten, by bucket."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.outages: dict[tuple[str, str], tuple[ObjectError, float]] = {}


_KNOWN = _Known()


def answered(url: ObjectUrl, request: Callable[[], R]) -> R:
    """The result of a request for an object. Raises ObjectError; at once, if the storage did not answer a moment ago."""
    bucket = url.scheme, url.bucket
    with _KNOWN.lock:
        error, until = _KNOWN.outages.get(bucket, (None, 0.0))
    if error is not None and monotonic() < until:
        raise type(error)(url, error.reason, error.do)
    try:
        return request()
    except ObjectError as failed:
        if failed.passing:
            with _KNOWN.lock:
                _KNOWN.outages[bucket] = failed, monotonic() + OUTAGE_S
        raise
