"""The stage of `deedbox run` that ships. It works in threads of its own, so that the event loop and ingest never wait for it.

Invariants: draining gives up what is being sent after its present piece. It waits DRAIN_S at most, and never for a storage that does not
answer: what was not shipped is shipped after the next start. An unexpected exception of a pass does not end the service: see `Shipper`.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from consumer import log
from consumer.ship import log_events
from consumer.ship.shipper import Shipper

DRAIN_S = 3.0  # the archive of the service is sealed after the stages are drained, and needs the rest of the time


class ShipStage:
    """The stage. `is_busy` after the drain: a thread still waits for a storage, and the process must not wait for it."""

    name = "ship"

    def __init__(self, shipper: Shipper) -> None:
        self._shipper = shipper
        self._loop = asyncio.get_running_loop()
        self._running = len(shipper.progress)
        self._error: BaseException | None = None
        self._ended = asyncio.Event()

    @property
    def is_busy(self) -> bool:
        """Whether a thread has not ended."""
        return self._running > 0 and self._shipper.is_busy

    def leave_out(self, is_changing: Callable[[Path], bool]) -> None:
        """As `Shipper.leave_out`."""
        self._shipper.leave_out(is_changing)

    async def run(self) -> None:
        """Ship until `drain`. Raises what ended a thread, which is no `Exception`."""
        log.emit(log_events.SHIPPING, destinations=sorted(self._shipper.progress))
        self._shipper.begin(self._from_thread)
        await self._ended.wait()
        if self._error is not None:
            raise self._error

    def _from_thread(self, error: BaseException | None) -> None:
        with suppress(RuntimeError):  # the loop has ended: the drain did not wait for this thread
            self._loop.call_soon_threadsafe(self._note_end, error)

    def _note_end(self, error: BaseException | None) -> None:
        self._running -= 1
        self._error = self._error or error
        if self._error is not None or not self._running:
            self._ended.set()

    async def drain(self, deadline: float) -> int | None:
        """As `Stage.drain`; it gives nothing back, because all files stay where they are."""
        self._shipper.stop()
        until = min(deadline, self._loop.time() + DRAIN_S)
        if self.is_busy:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._ended.wait()
        figures = self._shipper.progress.values()
        shipped, waiting = sum(one.shipped for one in figures), sum(one.waiting for one in figures)
        log.emit(log_events.SHIPPING_STOPPED, shipped=shipped, waiting=waiting)
        return None

    def stats(self) -> dict[str, object]:
        """The figures of each destination, by its URL."""
        return {name: asdict(one) for name, one in self._shipper.progress.items()}
