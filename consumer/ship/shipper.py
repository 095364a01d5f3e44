"""Ships one directory to several destinations, each in a thread of its own: one that does not work does not hold up the others.

Role: `deedbox ship` and the stage of `deedbox run` both use it. Invariant: the threads are daemons. One that waits for a storage that does
not answer never keeps the process from ending. An unexpected exception of a pass is reported, and the next pass is tried after a pause.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from consumer.objects.url import ObjectUrl
from consumer.ship.defects import describe
from consumer.ship.destination import Destination, Limits
from consumer.ship.outcome import PassResult, Progress
from consumer.ship.pacing import Backoff
from consumer.ship.report import Report
from consumer.ship.target import target_of
from consumer.ship.threads import start

POLL_S = 5.0  # between two passes
PASSES_MAX = 3  # of `once`, while a retry may help


class Shipper:
    """The destinations of one directory. `before_pass` is called before each pass, for example to make digests; it handles its own errors.

    Raises ObjectError if the settings of object storage do not permit a connection.
    """

    def __init__(
        self,
        directory: Path,
        urls: Sequence[ObjectUrl],
        limits: Limits,
        report: Report,
        before_pass: Callable[[], None] = lambda: None,
    ) -> None:
        self._stop = threading.Event()
        self._before_pass, self._report = before_pass, report
        self._preparing = threading.Lock()
        self._destinations = [Destination(directory, target_of(url), limits, report, self._stop) for url in urls]
        self._threads: list[threading.Thread] = []

    @property
    def progress(self) -> dict[str, Progress]:
        """The figures of each destination, by its URL."""
        return {one.name: one.progress for one in self._destinations}

    @property
    def is_busy(self) -> bool:
        """Whether a thread has not ended, for example because a storage does not answer."""
        return any(thread.is_alive() for thread in self._threads)

    def leave_out(self, is_changing: Callable[[Path], bool]) -> None:
        """Do not ship an archive while this is true of its path: it may be rewritten soon, and would be sent twice."""
        for one in self._destinations:
            one.is_changing = is_changing

    def once(self) -> dict[str, PassResult]:
        """Ship what is there now. The result of the last pass of each destination, by its URL. Raises what is a defect."""
        results: dict[str, PassResult] = {}
        defects: list[BaseException] = []

        def ship(one: Destination) -> None:
            try:
                results[one.name] = result = self._passes(one)
                if result.defect is not None:
                    defects.append(result.defect)
            except BaseException as error:  # noqa: BLE001 -- it is raised in the thread of the caller
                defects.append(error)

        self._before_pass()
        self._threads = [start(f"ship {one.name}", ship, one) for one in self._destinations]
        for thread in self._threads:
            thread.join()
        for error in defects:
            raise error
        return results

    def _passes(self, one: Destination) -> PassResult:
        """Passes until everything is there, or a retry does not help."""
        total = PassResult()
        for _ in range(PASSES_MAX):
            last = one.run_pass()
            total = last.after(total)
            if last.is_complete or last.stopped or not last.retry:
                break
            self._stop.wait(max(one.backoff.wait_s(time.monotonic()), one.retry_s()))
        return total

    def begin(self, ended: Callable[[BaseException | None], None]) -> None:
        """Ship until `stop`, in threads. `ended` is called by each thread at its end, with its error if it is a defect."""

        def ship(one: Destination) -> None:
            error: BaseException | None = None
            try:
                self._ship_on(one)
            except BaseException as defect:  # noqa: BLE001 -- it is given to `ended`
                error = defect
            ended(error)

        self._threads = [start(f"ship {one.name}", ship, one) for one in self._destinations]

    def _ship_on(self, one: Destination) -> None:
        pauses = Backoff()
        while not self._stop.is_set():
            try:
                with self._preparing:
                    self._before_pass()
                one.run_pass()
                pauses.succeeded()
            except Exception as error:  # noqa: BLE001 -- a defect must not end the service, which archives
                self._report.defect(one.name, "", describe(error), pauses.failed(time.monotonic()))
            now = time.monotonic()
            self._stop.wait(max(POLL_S, one.backoff.wait_s(now), pauses.wait_s(now)))
        with suppress(OSError):  # then the figures are those of the last pass
            one.count()

    def stop(self) -> None:
        """Begin nothing more, and give up what is being sent after its present piece."""
        self._stop.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the threads after `stop`. Whether all have ended in time."""
        until = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0))
        return not self.is_busy
