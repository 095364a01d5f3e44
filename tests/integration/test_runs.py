"""Any series of killed runs and late returns: each message is archived, and only once without a mark.

Without a broker: the queue is simulated; the archives and the deduplicator are real.
"""

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from codec.amqp import Field, encode_header
from consumer.amqp.delivery import Delivery
from consumer.archive import naming
from consumer.archive.layout import Layout
from consumer.archive.ledger import Ledger
from consumer.archive.writing import orphans
from consumer.archive.writing.archive_log import ArchiveLog, ArchiveLogSettings
from consumer.archive.writing.recent_events import RecentEvents
from consumer.archive.writing.rolling import RollPolicy
from consumer.disk.durable import Disk
from consumer.ingest.dedupe import Deduplicator
from consumer.ingest.describe import describe
from tests.support import archives
from tests.support.deliveries import delivery

WINDOW = 8


class Queue:
    """Messages in order. The broker returns those of a dead channel when it notices, which may be after any number of steps."""

    def __init__(self) -> None:
        self.ready: list[Delivery] = []
        self.dead: list[list[Delivery]] = []
        self.published = 0

    def publish(self, count: int) -> None:
        for _ in range(count):
            self.published += 1
            self.ready.append(delivery(self.published, b"%d" % self.published))

    def notice(self, index: int) -> None:
        if self.dead:
            returned = self.dead.pop(index % len(self.dead))
            self.ready = [again(one) for one in returned] + self.ready


def again(found: Delivery) -> Delivery:
    return found._replace(redelivered=True, header=encode_header({"headers": (("x-delivery-count", Field("l", 1)),)}))


class Run:
    """A process from its start to its kill: the events that it archives are durable, and its acknowledgements arrive or not."""

    def __init__(self, directory: Path, queue: Queue) -> None:
        disk, place = Disk(), Layout(directory)
        lock = disk.acquire(naming.lock_path(directory, "one"))
        assert lock is not None
        ledger = Ledger(disk, directory, "one")
        list(orphans.recover_own(disk, place, ledger, "one"))
        ledger.update(running=True)
        self.archive_log = ArchiveLog(disk, ArchiveLogSettings("one", place, RollPolicy(events_max=30), WINDOW), ledger)
        recent = RecentEvents(disk, directory, "one", self.archive_log.own, self.archive_log.keep_begins)
        self.deduplicator = Deduplicator(describe, recent)
        self.queue, self._disk, self._lock = queue, disk, lock
        self.unacked: list[Delivery] = []
        self.received = 0
        self.deduplicator.begin()

    def receive(self, count: int) -> None:
        count = min(count, WINDOW - len(self.unacked))
        self.unacked += self.queue.ready[:count]
        del self.queue.ready[:count]

    def archive(self, count: int) -> None:
        batch = self.unacked[self.received :][:count]
        if batch:
            self.archive_log.append(self.deduplicator.events(batch))
            self.received += len(batch)

    def acknowledge(self, count: int) -> None:
        count = min(count, self.received)
        del self.unacked[:count]
        self.received -= count

    def reconnect(self) -> None:
        self._lose_channel()
        self.deduplicator.begin()

    def kill(self) -> None:
        self._lose_channel()
        if self.archive_log.writer is not None:
            self.archive_log.writer.abandon()
        self._disk.close(self._lock)

    def _lose_channel(self) -> None:
        self.queue.dead.append(self.unacked)
        self.unacked, self.received = [], 0


STEPS: dict[str, Callable[[Run, int], None]] = {
    "publish": lambda run, count: run.queue.publish(count),
    "receive": Run.receive,
    "archive": Run.archive,
    "acknowledge": Run.acknowledge,
    "notice": lambda run, index: run.queue.notice(index),
    "reconnect": lambda run, _: run.reconnect(),
    "cycle": lambda run, count: cycle(run, count),
}


def cycle(run: Run, count: int) -> None:
    """The usual steps of a run."""
    run.queue.publish(count)
    run.receive(count)
    run.archive(count)
    run.acknowledge(count // 2)


RUNS = st.lists(
    st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(1, 10)), max_size=12), min_size=2, max_size=6
)


def archived(directory: Path, runs: list[list[tuple[str, int]]]) -> tuple[Counter[bytes], int]:
    """How often each message is archived without a mark, and how many were published."""
    queue = Queue()
    for steps in runs:
        run = Run(directory, queue)
        for name, count in steps:
            STEPS[name](run, count)
        run.kill()
    run = Run(directory, queue)
    while queue.dead:
        queue.notice(0)
    while queue.ready or run.unacked:
        run.receive(WINDOW)
        run.archive(WINDOW)
        run.acknowledge(WINDOW)
    run.archive_log.roll("stop")
    run.kill()
    return Counter(event.body for event in archives.unmarked(directory)), queue.published


@settings(max_examples=200, deadline=None)
@given(RUNS)
def test_after_any_series_of_kills_every_redelivery_of_an_archived_event_is_marked(
    runs: list[list[tuple[str, int]]],
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        unmarked, published = archived(Path(directory), runs)
    assert unmarked == Counter({b"%d" % number: 1 for number in range(1, published + 1)})


def test_a_late_return_of_a_dead_channel_is_marked_although_another_window_was_archived(tmp_path: Path) -> None:
    """The first run is killed with a window unacknowledged. The second archives another window and is killed before the first window is returned."""
    window = [("publish", WINDOW), ("receive", WINDOW), ("archive", WINDOW)]
    unmarked, published = archived(tmp_path, [window, window, window])
    assert unmarked == Counter({b"%d" % number: 1 for number in range(1, published + 1)})
