"""The command `ship`: once, with a report for people, or until a signal, with a log."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from codec.counted import counted
from consumer import log
from consumer import log_events as service_events
from consumer.archive.digests.signing import init_key, load_key
from consumer.cli.printing import print_line, print_unchanged, report_error
from consumer.cli.progress import progress
from consumer.cli.run import logged
from consumer.config.sections import Settings
from consumer.disk.durable import Disk
from consumer.errors import Exit
from consumer.objects.stores import configure
from consumer.ship.building import shipper_of
from consumer.ship.local_files import find_files
from consumer.ship.outcome import PassResult
from consumer.ship.report import LogReport
from consumer.ship.stage import DRAIN_S, ShipStage


class LineReport:
    """Prints a line for each file, unless a progress bar is shown. Called by several threads.

    Invariant: a URL stands once in a line. A reason begins with the URL of the object, which the line has named already.
    """

    def __init__(self, advance: Callable[[int], None], files: bool) -> None:
        self._advance, self._files = advance, files
        self._lock = threading.Lock()
        self._named: set[tuple[str, str]] = set()  # destination and file of each failure that has a line
        self.without_digests = False

    def _print(self, text: str) -> None:
        with self._lock:
            print_line(text)

    def shipped(self, destination: str, name: str, size: int, seconds: float) -> None:
        """As `Report.shipped`."""
        if self._files:
            self._print(f"shipped: {name} to {destination}: {counted(size, 'byte')}, {seconds:.1f} s")

    def advance(self, size: int) -> None:
        """As `Report.advance`."""
        with self._lock:
            self._advance(size)

    def failed(self, destination: str, name: str, reason: str, retry_s: float) -> None:  # noqa: ARG002 -- of the protocol
        """As `Report.failed`."""
        self._print_failure("failed", destination, name, reason)

    def refused(self, destination: str, name: str, reason: str) -> None:
        """As `Report.refused`."""
        self._print_failure("not shipped", destination, name, reason)

    def held(self, destination: str, name: str, reason: str) -> None:
        """As `Report.held`."""
        self.refused(destination, name, reason)

    def defect(self, destination: str, name: str, error: str, retry_s: float) -> None:  # noqa: ARG002 -- of the protocol
        """As `Report.defect`."""
        self._print_failure("defect of Deedbox", destination, name, error)

    def missing(self, destination: str, name: str, reason: str) -> None:
        """As `Report.missing`."""
        self._print(f"gone: {name} at {destination}: {reason}")

    def down(self, destination: str, reason: str, retry_s: float) -> None:  # noqa: ARG002 -- of the protocol
        """As `Report.down`."""
        self._print(f"failed: {destination}: {_without_url(reason, destination)}")

    def works(self, destination: str) -> None:
        """As `Report.works`."""

    def digests_failed(self, path: str, reason: str) -> None:
        """As `Report.digests_failed`."""
        self.without_digests = True
        self._print(f"no digest could be made: {path}: {reason}")

    def waiting(self, destination: str, problems: Mapping[str, str]) -> None:
        """Name the files that were not shipped, and that no line has named: for example a digest that waits for its archives."""
        for name, reason in problems.items():
            if (destination, name) not in self._named:
                self.refused(destination, name, reason)

    def _print_failure(self, what: str, destination: str, name: str, reason: str) -> None:
        self._named.add((destination, name))
        self._print(f"{what}: {name} to {destination}: {_without_url(reason, f'{destination}/{name}')}")


def _without_url(reason: str, url: str) -> str:
    return reason.removeprefix(f"{url}: ")


def ship_once(directory: Path, settings: Settings) -> Exit:
    """Ship what is sealed now, and report. DAMAGED if something was not shipped. Raises DeedboxError and OSError."""
    amount = sum(sum(one.size for one in file.stamps()) for file in find_files(directory).files)
    with progress("shipping", amount * len(settings.ship.destinations)) as advance:
        report = LineReport(advance, files=not sys.stdout.isatty())
        configure(settings.objects)
        shipper = shipper_of(directory, settings.ship, report)
        try:
            results = shipper.once()
        except BaseException:
            shipper.stop()
            shipper.join(DRAIN_S)
            raise
    for destination, result in results.items():
        report.waiting(destination, result.problems)
        print_line(f"{destination}: {_outcome(result, destination)}")
    complete = all(result.is_complete for result in results.values()) and not report.without_digests
    return Exit.OK if complete else Exit.DAMAGED


def _outcome(result: PassResult, destination: str) -> str:
    """One line about one destination."""
    sent = f"{counted(result.shipped, 'file')} shipped, {counted(result.shipped_bytes, 'byte')}"
    there = f"{sent}; {result.verified - result.shipped} were there"
    if result.is_complete:
        return f"all shipped: {there}"
    problems = [f"{counted(len(result.problems), 'file')} not shipped"] if result.problems else []
    down = [_without_url(result.down, destination)] if result.down else []
    return f"NOT all shipped: {'; '.join([there, *problems, *down])}"


def ship_on(directory: Path, settings: Settings) -> Exit:
    """Ship until SIGTERM or SIGINT. Raises DeedboxError and OSError."""

    async def serve() -> Exit:
        configure(settings.objects)
        stage = ShipStage(shipper_of(directory, settings.ship, LogReport()))
        stopping = _first_signal()
        running = asyncio.create_task(stage.run())
        await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
        await stage.drain(asyncio.get_running_loop().time() + settings.service.drain_s)
        if stage.is_busy:
            _leave(Exit.OK)  # a thread waits for a storage that does not answer
        running.result()
        return Exit.OK

    return logged(settings.service.log, lambda: asyncio.run(serve()))


def make_key(path: Path) -> Exit:
    """Make a key that signs digests, and print its public key. Its id is a line of its own. Raises DeedboxError and OSError."""
    public = init_key(Disk(), path).strip()
    report_error(f"{path}: the key has the id {load_key(path).id}, which digests and `deedbox verify` show")
    print_unchanged(public)
    return Exit.OK


def _first_signal() -> "asyncio.Future[None]":
    """Done at the first signal; a second one ends the process at once."""
    loop = asyncio.get_running_loop()
    received: asyncio.Future[None] = loop.create_future()

    def on_signal(sign: signal.Signals) -> None:
        if received.done():
            _leave(Exit.DEADLINE)
        log.emit(service_events.DRAINING, signal=sign.name, held=0)
        received.set_result(None)

    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, on_signal, sign)
    return received


def _leave(exit: Exit) -> None:
    log.flush()
    os._exit(exit)
