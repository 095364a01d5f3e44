"""The stage of retention: a run every few minutes beside ingest, in a thread of its own.

Invariants: an error ends the run and never the service. A run that is cut off by the end of the process is continued by the next one.
"""

import asyncio
from contextlib import suppress

from consumer import log
from consumer.disk.worker_thread import StepThread
from consumer.errors import DeedboxError
from consumer.ship.defects import describe
from consumer.ship.retention import log_events
from consumer.ship.retention.retention import Result, Retention

PAUSE_S_MAX = 3600.0  # between two runs after failures, one after another
DRAIN_S = 3.0  # the archive of the service is sealed after the stages are drained, and needs the rest of the time


class RetainStage:
    """The stage. `every_s`: seconds between two runs."""

    name = "retain"

    def __init__(self, retention: Retention, every_s: float) -> None:
        self._retention, self._every_s = retention, every_s
        self._next_s = self._pause_s = every_s  # until the next run, and until the one after a failure
        self._stopped, self._ended = asyncio.Event(), asyncio.Event()
        self._thread = StepThread("retain")  # it does not keep the process running if a storage does not answer
        self._removed = self._blocked = 0

    async def run(self) -> None:
        """Run retention again and again, until `drain`."""
        try:
            while not self._stopped.is_set():
                self._next_s = self._every_s
                await self._thread.run(self._run)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopped.wait(), self._next_s)
        finally:
            self._ended.set()

    def _run(self) -> None:
        try:
            self._report(self._retention.run())
        except DeedboxError as error:
            self._fail(str(error))
        except OSError as error:
            self._fail(f"{error.filename or self._retention.root}: {error.strerror or error}")
        except Exception as error:  # noqa: BLE001 -- a defect here must not end ingest
            self._fail(describe(error))
        else:
            self._pause_s = self._every_s

    def _fail(self, reason: str) -> None:
        log.emit(log_events.RETENTION_FAILED, path=str(self._retention.root), reason=reason, wait_s=self._pause_s)
        self._next_s, self._pause_s = self._pause_s, min(2 * self._pause_s, max(PAUSE_S_MAX, self._every_s))

    def _report(self, result: Result) -> None:
        for where, one in result.removed:
            log.emit(
                log_events.ARCHIVE_REMOVED, archive=str(one.candidate.archive), where=where, path=one.candidate.name,
                bytes=one.candidate.size, reason=one.reason,
            )  # fmt: skip
        self._removed += len(result.removed)
        self._blocked = 0
        for where, found in result.blocked():
            self._blocked += len(found)
            log.emit(
                log_events.RETENTION_BLOCKED, where=where, archives=len(found),
                bytes=sum(one.candidate.size for one in found), archive=str(found[0].candidate.archive),
                reason=found[0].reason,
            )  # fmt: skip

    async def drain(self, deadline: float) -> int | None:
        """Begin no run any more, and wait for the present one, DRAIN_S seconds at most."""
        self._stopped.set()
        until = min(deadline, asyncio.get_running_loop().time() + DRAIN_S)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._ended.wait()
        return None

    def stats(self) -> dict[str, object]:
        """How many archives were removed since the start, and how many must stay although a limit asks for their removal."""
        return {"removed": self._removed, "blocked": self._blocked}
