"""The store of a URL, and the settings of all stores of this process.

Invariant: a process has one store for each bucket, with the settings of the last `configure`.
"""

import os
from threading import Lock

from consumer.objects.directory import DirectoryStore
from consumer.objects.errors import ObjectError
from consumer.objects.settings import ObjectsSection
from consumer.objects.store import Store
from consumer.objects.url import ObjectUrl


class _Stores:
    """The stores of this process, one for each bucket."""

    def __init__(self) -> None:
        self.settings = ObjectsSection()
        self.lock = Lock()
        self.known: dict[tuple[str, str], Store] = {}
        self.process = 0  # the one that made the first store with a connection; 0: none yet


_STORES = _Stores()


def configure(settings: ObjectsSection) -> None:
    """Use these settings for all stores from now on. Without it, the AWS_* variables and the defaults apply."""
    with _STORES.lock:
        _STORES.settings = settings
        _STORES.known.clear()


def configured() -> ObjectsSection:
    """The settings in force, which a worker process must pass to `configure`."""
    return _STORES.settings


def store_of(url: ObjectUrl) -> Store:
    """The store that holds the object or prefix. Cached by bucket.

    Raises ObjectError if the settings do not permit a connection, or if the process was forked after its first connection:
    the threads of the connections do not exist in a fork, and it would wait for ever.
    """
    key = url.scheme, url.bucket
    with _STORES.lock:
        _refuse_fork(url)
        if key not in _STORES.known:
            _STORES.known[key] = _opened(url)
        return _STORES.known[key]


def _refuse_fork(url: ObjectUrl) -> None:
    if url.scheme == "file":
        return
    _STORES.process = _STORES.process or os.getpid()
    if _STORES.process != os.getpid():
        raise ObjectError(
            url, "this process was forked from one that uses object storage", "start it with spawn or forkserver"
        )


def _opened(url: ObjectUrl) -> Store:
    if url.scheme == "file":
        return DirectoryStore(url.bucket)
    from consumer.objects.remote import RemoteStore  # its import needs a quarter of the start of a search

    return RemoteStore(url, _STORES.settings)
