"""The interfaces of the archive and of the broker that ingest uses. The service provides objects of these shapes."""

from collections.abc import Callable, Sequence
from typing import Protocol

from codec.event import Event


class AppendResult(Protocol):
    """The result of a durable append."""

    @property
    def events(self) -> int:
        """Number of events."""

    @property
    def bytes(self) -> int:
        """Number of bytes in the archive."""

    @property
    def sync_s(self) -> float:
        """Duration of the sync in seconds."""


class Prober(Protocol):
    """Tests whether the disk accepts writes."""

    async def probe(self, size: int = 0) -> None:
        """Test whether the disk accepts `size` bytes, and at least a small write. Raises StorageFault if not."""


class DurableAppender(Prober, Protocol):
    """Writes events to the archive, on a thread of its own."""

    async def append(self, make_events: Callable[[], Sequence[Event]]) -> AppendResult:
        """Return when the events would survive a power cut. Raises StorageFault; then nothing counts as written.

        `make_events` is called on the thread of the appends.
        """

    async def run(self, step: Callable[[], None]) -> None:
        """Run a step on the thread of the appends, between two of them."""


class Acknowledger(Protocol):
    """Acknowledges deliveries. The broker delivers a message again until it is acknowledged."""

    async def ack(self, tag: int) -> bool:
        """Acknowledge all deliveries up to and including `tag`. Return False if the channel has ended: they are delivered again."""

    async def ack_each(self, tags: Sequence[int]) -> bool:
        """Acknowledge exactly these deliveries. Return False if the channel has ended: they are delivered again."""
