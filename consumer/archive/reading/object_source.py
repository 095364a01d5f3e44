"""ObjectSource: the bytes of an archive in object storage, by range requests.

Invariant: all bytes come from one version of the object. If the object is replaced while it is read, reading fails.
"""

import errno

from consumer.objects.store import Store
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl


class ObjectSource:
    """An object. `size` is that of the object when it was opened. Raises OSError if there is no such object."""

    def __init__(self, url: ObjectUrl, store: Store | None = None) -> None:
        self.location = url
        self._store = store or store_of(url)
        found = self._store.head(url)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "no such object", str(url))
        self.info, self.attributes = found
        self.size = self.info.size

    def read(self, offset: int, size: int) -> bytes:
        """As `Source.read`."""
        size = min(size, self.size - offset)
        return self._store.read(self.location, offset, size) if size > 0 else b""

    def close(self) -> None:
        """There is nothing to close: the store keeps its connections."""
