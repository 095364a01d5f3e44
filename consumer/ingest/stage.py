"""Ingest as a stage of the service."""

import asyncio

from consumer.ingest.ingest import Ingest


class IngestStage:
    """Moves messages from a broker to an archive until it is drained."""

    name = "ingest"

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Consume until `drain`. Raises Fatal."""
        try:
            await self._ingest.run()
        finally:
            self._ended.set()

    async def drain(self, deadline: float) -> int | None:
        """Accept no more deliveries, and commit and acknowledge the held ones. At the deadline, return the others to the broker."""
        if self._ended.is_set():
            return None
        loop = asyncio.get_running_loop()
        ending = [asyncio.create_task(self._ingest.stop()), asyncio.create_task(self._ended.wait())]
        await asyncio.wait(ending, timeout=max(deadline - loop.time(), 0.0))
        return None if self._ended.is_set() else await self._ingest.release()

    def stats(self) -> dict[str, object]:
        """The state, the events archived since the start, the deliveries held, and the age of the oldest, in seconds."""
        return {
            "state": self._ingest.state,
            "archived": self._ingest.counters.archived,
            "held": self._ingest.held,
            "unacked_age_s": round(self._unacked_age_s(), 3),
        }

    def _unacked_age_s(self) -> float:
        generation = self._ingest.generation
        oldest = generation.buffer.oldest if generation else None
        return 0.0 if oldest is None else asyncio.get_running_loop().time() - oldest
