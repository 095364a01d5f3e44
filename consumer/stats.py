"""The `stats` line and the health file: what the service did since the last look, and how it is now."""

import asyncio
from pathlib import Path

from consumer import log, log_events
from consumer.archive.writing.appender import Appender
from consumer.disk.durable import Disk
from consumer.health import Health
from consumer.ingest.ingest import Ingest

BEAT_S = 1.0


class Stats:
    """Reads the stages; changes nothing."""

    def __init__(self, ingest: Ingest, appender: Appender, directory: Path) -> None:
        self._ingest, self._appender, self._directory = ingest, appender, directory
        self._loop = asyncio.get_running_loop()
        self._last = (self._loop.time(), 0, 0, 0)
        self._lag_s = 0.0
        self._free_bytes = -1
        self._look: asyncio.Task[None] | None = None

    @property
    def stuck(self) -> bool:
        """Whether the file system does not answer: then nothing that waits for it may be waited for."""
        return self._look is not None and not self._look.done()

    async def last_look(self) -> None:
        """Wait for the look at the disk that is under way, if there is one."""
        if self._look is not None:
            await asyncio.wait([self._look])

    async def run(self, every_s: float, health: Health) -> None:
        """A line every `every_s` seconds, and a beat of the health file every second, until cancelled."""
        beat_s = min(BEAT_S, every_s)
        next_line = self._loop.time() + every_s
        while True:
            before = self._loop.time()
            await asyncio.sleep(beat_s)
            self._lag_s = max(self._lag_s, self._loop.time() - before - beat_s)
            if not self.stuck:  # a file system that does not answer stops the beat, and with that says so
                self._look = asyncio.create_task(self._look_at_disk(health))
            if self._loop.time() >= next_line:
                next_line += every_s
                log.emit(log_events.STATS, **self.line())

    async def _look_at_disk(self, health: Health) -> None:
        await health.write(self.state() | {"reason": self._ingest.reason})
        try:
            self._free_bytes = await asyncio.to_thread(Disk().free_bytes, self._directory)
        except OSError:
            self._free_bytes = -1  # the appends will say what is wrong with the directory

    def state(self) -> dict[str, object]:
        """What `deedbox health` wants to know."""
        return {
            "state": self._ingest.state,
            "archived": self._ingest.counters.archived,
            "held": self._ingest.held,
            "unacked_age_s": round(self._unacked_age_s(), 3),
        }

    def _unacked_age_s(self) -> float:
        generation = self._ingest.generation
        oldest = generation.batches.oldest if generation else None
        return 0.0 if oldest is None else self._loop.time() - oldest

    def line(self) -> dict[str, object]:
        """The fields of the line; rates are over the time since the last one."""
        ingest, counters, generation = self._ingest, self._ingest.counters, self._ingest.generation
        now = self._loop.time()
        since, archived, size, batches = self._last
        self._last = (now, counters.archived, counters.bytes, counters.batches)
        passed, events = max(now - since, 1e-9), counters.archived - archived
        syncs = sorted(counters.syncs)
        counters.syncs.clear()
        lag_s, self._lag_s = self._lag_s, 0.0
        archive = self._appender.snapshot
        return self.state() | {
            "events_per_s": round(events / passed),
            "bytes_per_s": round((counters.bytes - size) / passed),
            "acked": counters.acked,
            "held_bytes": generation.batches.held_bytes if generation else 0,
            "batch_mean": round(events / max(counters.batches - batches, 1), 1),
            "sync_p50_ms": _percentile_ms(syncs, 0.5),
            "sync_p99_ms": _percentile_ms(syncs, 0.99),
            "loop_lag_ms": round(lag_s * 1000, 1),
            "free_bytes": self._free_bytes,
            "redelivered": ingest.deduplicator.redelivered,
            "marked": ingest.deduplicator.marked,
            "generation": generation.session.generation if generation else 0,
            "open_archive": str(archive.archive or ""),
            "last_roll": archive.last_roll,
            "log_lines_lost": log.lines_lost(),
        }


def _percentile_ms(values: list[float], share: float) -> float:
    return round(values[min(int(len(values) * share), len(values) - 1)] * 1000, 2) if values else 0.0
