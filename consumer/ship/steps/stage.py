"""The stage of the steps on seal: it runs beside ingest, in a thread of its own, and never delays an acknowledgement.

Invariants: an archive enters its steps only after the repacker of this process has decided about it, or if repacking it would not pay, or
when it is old. An error of a step never ends the service.
"""

import asyncio
import threading
import time
from contextlib import suppress
from pathlib import Path

from consumer import log
from consumer.archive.rewriting.repack import pays
from consumer.disk.worker_thread import StepThread
from consumer.ship.defects import describe
from consumer.ship.steps import log_events
from consumer.ship.steps.worker import Worker

LOOK_S = 1.0  # between two looks while something waits
LOOK_S_MAX = 300.0  # after looks that failed, one after another
IDLE_S = 10.0  # between two looks at the directory while all is done: another instance may have sealed an archive
ASK_S = 60.0  # between two looks into an archive that another process may repack
DRAIN_S = 3.0  # the archive of the service is sealed after the stages are drained, and needs the rest of the time
REPACK_S = 3600.0  # after this time, the service that sealed an archive does not repack it any more


class Settled:
    """Which archives are not rewritten any more. `offer` may be called from any thread."""

    def __init__(self) -> None:
        self._offered: set[Path] = set()
        self._asked: dict[Path, float] = {}

    def offer(self, path: Path) -> None:
        """The repacker has decided about an archive."""
        self._offered.add(path.absolute())

    def __call__(self, path: Path) -> bool:
        """Whether the steps of the archive at this path may begin."""
        now = time.monotonic()
        if path in self._offered:
            return True
        if now < self._asked.get(path, 0.0) + ASK_S:
            return False
        self._asked[path] = now
        try:
            settled = time.time() - path.stat().st_mtime > REPACK_S or not pays(path)
        except OSError:
            return False  # sealed or removed just now: the next look finds it
        if settled:
            self._offered.add(path)  # a step that fails is tried again after its own pause
        return settled


class StepsStage:
    """The stage. `worker`: its `ready` is usually `settled`."""

    name = "steps"

    def __init__(self, worker: Worker, settled: Settled) -> None:
        self._worker, self._settled = worker, settled
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._stopped = threading.Event()
        self._ended = asyncio.Event()
        self._thread = StepThread("steps")  # it does not keep the process running if a disk does not answer
        self._pause_s = LOOK_S
        worker.effects.stopped = self._stopped

    def offer(self, path: Path) -> None:
        """The repacker has decided about a sealed archive. May be called from any thread."""
        self._settled.offer(path)
        self._loop.call_soon_threadsafe(self._wake.set)

    async def run(self) -> None:
        """Look again and again, until `drain`."""
        try:
            while not self._stopped.is_set():
                self._wake.clear()
                pause_s = self._pause_s
                complete = await self._thread.run(self._look)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), IDLE_S if complete else pause_s)
        finally:
            self._worker.close()
            self._ended.set()

    def _look(self) -> bool:
        try:
            complete = self._worker.look()
        except OSError as error:
            self._report(
                log_events.STEP_FAILED, f"{error.filename or self._worker.directory}: {error.strerror or error}"
            )
        except Exception as error:  # noqa: BLE001 -- a defect here must not end ingest
            self._report(log_events.STEP_DEFECT, describe(error))
        else:
            self._pause_s = LOOK_S
            return complete
        return False

    def _report(self, event: log.LogEvent, reason: str) -> None:
        """Report an error of a whole look. The next look waits, and waits longer each time."""
        log.emit(event, path=str(self._worker.directory), step="all", reason=reason, wait_s=self._pause_s)
        self._pause_s = min(2 * self._pause_s, LOOK_S_MAX)

    async def drain(self, deadline: float) -> int | None:
        """End the step that runs. A program is killed, and runs again after the next start. A file that is copied is given up after DRAIN_S."""
        self._stopped.set()
        self._wake.set()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(min(deadline, self._loop.time() + DRAIN_S)):
                await self._ended.wait()
        return None

    def stats(self) -> dict[str, object]:
        """How many archives have a step that failed or waits."""
        return {"failing": self._worker.reports.failing, "waiting": self._worker.reports.waiting}
