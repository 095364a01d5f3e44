"""The command `replay`: publish archived events again, or count what would be published."""

import asyncio
import logging
import os
import signal
import ssl
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from codec.counted import counted
from consumer.amqp.confirmed_publisher import ConfirmedPublisher
from consumer.amqp.publish import Publisher
from consumer.amqp.settled import Window
from consumer.amqp.tls import tls_context
from consumer.archive.location import Location
from consumer.cli.commands.replay_counts import count_messages, print_counts
from consumer.cli.commands.reports import report_faults, report_hidden, report_no_archive
from consumer.cli.printing import print_line, report_error
from consumer.cli.progress import progress
from consumer.config.sections import Settings
from consumer.disk.durable import Disk
from consumer.errors import DeedboxError, Exit, Fatal, Retry
from consumer.query.executors import workers
from consumer.query.query import Query
from consumer.replay.marker import Marker
from consumer.replay.pace import Pace
from consumer.replay.ranges import Ranges
from consumer.replay.receipts import ArchiveHead, Receipts, read_receipts
from consumer.replay.replay import OnSettled, Replay, Store
from consumer.replay.report import Report
from consumer.replay.selection import Selected, Selection
from consumer.replay.target import Route

CONNECTION_NAME = "deedbox replay"  # as the broker shows it


@dataclass(frozen=True)
class ReplayRequest:
    """What `replay` is asked for. `route`: from an event to its message. `named`: the exchange, or the queue of the default exchange, that must exist.

    `checkpoint`: the name of the receipts; None: none are kept. `marked`: messages get the marker. `again`: events with a receipt are
    published too.
    """

    paths: Sequence[Location]
    query: Query
    route: Route
    pace: Pace
    named: tuple[str, str] | None = None
    checkpoint: str | None = None
    marked: bool = True
    again: bool = False


def count_archives(request: ReplayRequest) -> Exit:
    """Print how many messages each exchange and routing key would get. DAMAGED if an event cannot be a message or cannot be read.

    Raises DeedboxError and OSError.
    """
    known = dict[ArchiveHead, Ranges]()
    if request.checkpoint is not None:
        stored = read_receipts(_directory(request), request.checkpoint)
        known = {} if request.again else stored
    report = Report()
    with ExitStack() as stack:
        selection, planned = _planned(request, known, stack)
        counts = count_messages(_advancing(selection, stack.enter_context(progress("counting", planned))), report)
    print_counts(counts)
    _print_left_out(selection)
    return _reported(report, selection)


def publish_archives(request: ReplayRequest, settings: Settings) -> int:
    """Publish, and report. DAMAGED if an event was not published or could not be read; 128 and the number of a signal that ended it.

    Raises DeedboxError and OSError.
    """
    with ExitStack() as stack:
        store, known = None, dict[ArchiveHead, Ranges]()
        if request.checkpoint is not None:
            receipts = Receipts(Disk(), _directory(request), request.checkpoint)
            stack.callback(receipts.close)
            store, known = receipts.store, {} if request.again else receipts.known
        selection, planned = _planned(request, known, stack)
        publishing = Publishing(request, settings, selection, store)
        publishing.run(stack.enter_context(progress("replaying", planned)))
    return publishing.reported()


def _planned(request: ReplayRequest, known: Mapping[ArchiveHead, Ranges], stack: ExitStack) -> tuple[Selection, int]:
    """The selection, and how many bytes of archives it will read."""
    marker = Marker(str(uuid.uuid4())) if request.marked else None
    selection = Selection(request.paths, request.query, request.route, marker, known)
    planned = selection.search.plan()
    if not selection.search.archives:
        report_no_archive(request.paths)
    selection.search.executor = stack.enter_context(workers(planned))
    return selection, planned


def _directory(request: ReplayRequest) -> Path:
    """The directory of the receipts. Raises Fatal."""
    paths = request.paths
    if len(paths) != 1 or not isinstance(paths[0], Path) or not paths[0].is_dir():
        what = f"receipts with the name {request.checkpoint} for {', '.join(map(str, paths))}"
        raise Fatal(Exit.SETTINGS, what, "name one local archive directory, because it stores what was published")
    return paths[0]


def _advancing(selection: Selection, advance: Callable[[int], None]) -> Callable[[], list[Selected]]:
    """`take` of the selection, which advances the bar by the bytes that were read."""
    read = selection.search.bytes_read

    def take() -> list[Selected]:
        nonlocal read
        found = selection.take()
        advance(selection.search.bytes_read - read)
        read = selection.search.bytes_read
        return found

    return take


class Publishing:
    """One run of the command that publishes: signals, the broker of the settings, and the report at the end."""

    def __init__(self, request: ReplayRequest, settings: Settings, selection: Selection, store: Store | None) -> None:
        self._request, self._settings, self._selection, self._store = request, settings, selection, store
        self._report, self._unsettled = Report(), 0
        self._received: list[signal.Signals] = []
        self._failure: Exception | None = None
        self._seconds = 0.0

    def run(self, advance: Callable[[int], None]) -> None:
        """Publish until the end, or until a signal. `advance`: of the progress bar. Raises Fatal if nothing can be published."""
        begin_s = time.monotonic()
        asyncio.run(self._serve(_advancing(self._selection, advance)))
        self._seconds = time.monotonic() - begin_s

    async def _serve(self, take: Callable[[], list[Selected]]) -> None:
        logging.getLogger("aiormq").setLevel(
            logging.CRITICAL
        )  # a lost connection is reported in one line, without a trace
        topology = self._settings.topology
        url, context = topology.url, tls_context(topology)

        def connect(on_settled: OnSettled) -> ConfirmedPublisher:
            return ConfirmedPublisher(url, context, CONNECTION_NAME, on_settled, Window())

        async def check() -> None:
            if self._request.named is not None:
                await check_target(url, context, *self._request.named)

        replay = Replay(take, connect, check, self._request.pace, self._store, report_error)
        self._report = replay.report
        self._stop_on_signals(replay)
        try:
            await replay.run(self._settings.service.drain_s)
        except Fatal:
            raise
        except (DeedboxError, OSError) as error:
            self._failure = error  # raised after the report
        finally:
            self._unsettled = replay.unsettled

    def _stop_on_signals(self, replay: Replay) -> None:
        """The first signal drains; the second one ends the process at once."""

        def on_signal(sign: signal.Signals) -> None:
            if self._received:
                os._exit(128 + sign)
            self._received.append(sign)
            self._selection.search.stop()
            replay.stop()

        for sign in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sign, on_signal, sign)

    def reported(self) -> int:
        """Print what was done. Returns the exit status, or raises the failure that ended it."""
        print_line(self._report.summary(self._seconds))
        _print_left_out(self._selection)
        if self._received or self._unsettled:
            why = f"stopped by {self._received[0].name}" if self._received else "stopped"
            left = f"; {counted(self._unsettled, 'event')} sent without a confirm" if self._unsettled else ""
            report_error(f"{why}: {self._report.place()}{left}")
        status = _reported(self._report, self._selection)
        if self._failure is not None:
            raise self._failure
        return 128 + self._received[0] if self._received else status


async def check_target(url: str, context: ssl.SSLContext | None, exchange: str, routing_key: str) -> None:
    """Check that the exchange exists, or for the default exchange the queue. Raises Fatal if not, and Retry if the broker is not there."""
    async with Publisher(url, context) as publisher:
        try:
            await publisher.find(exchange, routing_key)
        except Retry as error:
            raise Fatal(Exit.MISSING, error.what, "create it, or correct its name") from error


def _print_left_out(selection: Selection) -> None:
    if selection.left_out:
        count = "at most " * selection.left_out_at_most + counted(selection.left_out, "event")
        print_line(f"left out: {count}, because they have a receipt of an earlier run")


def _reported(report: Report, selection: Selection) -> Exit:
    """Report the events that were not published, hidden or not readable. DAMAGED if one was not published or not readable."""
    for line in filter(None, (*report.problems, report.more())):
        report_error(line)
    report_hidden(selection.search.duplicates)
    unread = report_faults(selection.search.faults)
    return Exit.DAMAGED if report.not_published else unread
