"""A store that counts the requests of another one, and how many run at the same time."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import pytest

from consumer.objects.store import Store
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl


class CountingStore:
    """`requests`: number by kind. `read_bytes`: of range requests. `most`: the requests that ran at the same time. `delay_s`: of each request."""

    def __init__(self, store: Store, delay_s: float = 0.0) -> None:
        self.requests: Counter[str] = Counter()
        self.read_bytes = self.running = self.most = 0
        self.delay_s = delay_s
        self._store, self._lock = store, Lock()

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            with self._counted(name):
                time.sleep(self.delay_s)
                result = getattr(self._store, name)(*arguments, **named)
                if name == "read":
                    with self._lock:
                        self.read_bytes += len(result)
                return result

        return call

    @contextmanager
    def _counted(self, name: str) -> Iterator[None]:
        with self._lock:
            self.requests[name] += 1
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            yield
        finally:
            with self._lock:
                self.running -= 1


def counted(monkeypatch: pytest.MonkeyPatch, url: ObjectUrl, delay_s: float = 0.0) -> CountingStore:
    """Counts the requests of this process to the bucket of a URL from now on."""
    counting = CountingStore(store_of(url), delay_s)
    for module in ("archive.listing", "archive.reading.object_source", "archive.reading.tombstones"):
        monkeypatch.setattr(f"consumer.{module}.store_of", lambda _: counting)
    return counting
