"""The `stats` line of the log and the health file: the rates since the last line, and the present state."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from consumer import log, log_events
from consumer.archive.writing.appender import Appender
from consumer.disk.durable import Disk
from consumer.health import Health
from consumer.ingest.ingest import Ingest
from consumer.stage import Stage

HEALTH_S = 1.0  # between two writes of the health file


class Stats:
    """Reads the figures of ingest and of the appender, and changes nothing. `replay`: gives the state of the stage `[replay]`."""

    def __init__(
        self, ingest: Ingest, stage: Stage, appender: Appender, directory: Path, replay: Callable[[], str] | None = None
    ) -> None:
        self._ingest, self._stage, self._appender, self._directory = ingest, stage, appender, directory
        self._replay = replay
        self._loop = asyncio.get_running_loop()
        self._last = (self._loop.time(), 0, 0, 0)
        self._lag_s = 0.0
        self._free_bytes = -1
        self._look: asyncio.Task[None] | None = None

    @property
    def stuck(self) -> bool:
        """Whether the file system does not answer. Then do not wait for anything that uses it."""
        return self._look is not None and not self._look.done()

    async def last_look(self) -> None:
        """Wait for the look at the disk that runs now, if there is one."""
        if self._look is not None:
            await asyncio.wait([self._look])

    async def run(self, every_s: float, health: Health) -> None:
        """Log a line every `every_s` seconds, and write the health file every second, until cancelled."""
        pause_s = min(HEALTH_S, every_s)
        next_line = self._loop.time() + every_s
        while True:
            before = self._loop.time()
            await asyncio.sleep(pause_s)
            self._lag_s = max(self._lag_s, self._loop.time() - before - pause_s)
            if not self.stuck:  # else the health file becomes stale, which reports the file system that does not answer
                self._look = asyncio.create_task(self._look_at_disk(health))
            if self._loop.time() >= next_line:
                next_line += every_s
                log.emit(log_events.STATS, **self.line())

    async def _look_at_disk(self, health: Health) -> None:
        await health.write(self.state() | {"reason": self._ingest.reason})
        try:
            self._free_bytes = await asyncio.to_thread(Disk().free_bytes, self._directory)
        except OSError:
            self._free_bytes = -1  # the next append reports the error of the directory

    def state(self) -> dict[str, object]:
        """The figures that `deedbox health` reads."""
        return self._stage.stats() | ({"replay": self._replay()} if self._replay else {})

    def line(self) -> dict[str, object]:
        """The fields of the `stats` line. Rates are averages since the last line."""
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
            "held_bytes": generation.buffer.held_bytes if generation else 0,
            "batch_mean": round(events / max(counters.batches - batches, 1), 1),
            "sync_p50_ms": _percentile_ms(syncs, 0.5),
            "sync_p99_ms": _percentile_ms(syncs, 0.99),
            "loop_lag_ms": round(lag_s * 1000, 1),
            "free_bytes": self._free_bytes,
            "redelivered": ingest.deduplicator.redelivered,
            "marked": ingest.deduplicator.marked,
            "generation": generation.session.number if generation else 0,
            "open_archive": str(archive.archive or ""),
            "last_roll": archive.last_roll or "",
            "log_lines_lost": log.lines_lost(),
        }


def _percentile_ms(values: list[float], share: float) -> float:
    return round(values[min(int(len(values) * share), len(values) - 1)] * 1000, 2) if values else 0.0
