"""Nothing is dropped: a message that is delivered twice is archived twice, and the second event is marked with the position of the first."""

import signal
from pathlib import Path

import pytest

from codec.amqp import encode_header
from codec.event import Event
from consumer.archive.watermark import read_watermark
from consumer.demo.relay import Relay
from tests.support import archives
from tests.support.process import Deedbox
from tests.support.wire import WirePublisher

HEADER = encode_header({"message_id": "m-1", "delivery_mode": 2})


def publish(publisher: WirePublisher, exchange: str, bodies: list[bytes]) -> None:
    for body in bodies:
        publisher.publish(exchange.encode(), b"a", HEADER, body)
    publisher.wait_for_confirms()


def bodies(events: list[Event]) -> list[bytes]:
    return sorted(event.body for event in events)


def test_an_equal_message_that_was_in_flight_at_a_crash_is_archived(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path
) -> None:
    """Two publishes with equal id and content; the first is acknowledged, the second was delivered to a process that is killed."""
    directory = tmp_path / "archive"
    flags = ("--url", url, "--queue", name, "--exchange", name, "--instance", "one", "--set", "service.stats_s=0.1")
    with Deedbox(directory, *flags) as deedbox:
        deedbox.wait_for("consuming")
        publish(publisher, name, [b"equal"])
        deedbox.wait_until(lambda: archives.count(directory) == 1, "the first is archived")
        deedbox.wait_until(lambda: any(line["acked"] == 1 for line in deedbox.lines("stats")), "and acknowledged")
        assert deedbox.process is not None
        deedbox.process.send_signal(signal.SIGSTOP)
        publish(publisher, name, [b"equal"])
        deedbox.wait_until(lambda: publisher.messages(name) == (0, 1), "the second is delivered")
        assert archives.count(directory) == 1
        deedbox.kill()
        deedbox.start()
        deedbox.wait_until(lambda: archives.count(directory) == 2, "the second is archived")
        assert deedbox.stop() == 0
        assert [line["marked"] for line in deedbox.lines("duplicates_marked")] == [1]
    first, second = archives.events(directory)
    assert (first.body, first.duplicate, first.redelivered) == (b"equal", "", False)
    assert (second.body, second.duplicate, second.redelivered) == (b"equal", "one-00000001:0", True)


@pytest.mark.parametrize("killed", [True, False])
def test_a_batch_that_another_instance_archived_without_acking_is_marked(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path, killed: bool
) -> None:
    """Two instances of one directory and one queue; the acknowledgements of one do not arrive, and it is killed or disconnected."""
    directory = tmp_path / "archive"
    sent = [b"%d" % n for n in range(40)]
    arguments = ("--queue", name, "--exchange", name, "--set", "broker.queue_type=classic")
    with (
        Relay(url) as relay,
        Deedbox(directory, "--url", relay.url, "--instance", "mute", *arguments, log=tmp_path / "mute.log") as mute,
        Deedbox(directory, "--url", url, "--instance", "other", *arguments, log=tmp_path / "other.log") as other,
    ):
        for one in (mute, other):
            one.wait_for("consuming")
        relay.mute()
        publish(publisher, name, sent)
        # Committed, and not only written: until its sync an event of a live instance is not known as archived.
        other.wait_until(lambda: committed(directory, "mute", "other") == len(sent), "all are archived")
        if killed:
            mute.kill()
        relay.cut()
        unacked = [event for event in archives.events(directory) if is_of(directory, "mute", event)]
        assert unacked, "the broker gave nothing to one of two consumers"
        other.wait_until(lambda: archives.count(directory) >= len(sent) + len(unacked), "they came again")
        assert other.stop() == 0
        assert killed or mute.stop() == 0
    marked = [event for event in archives.events(directory) if event.duplicate]
    assert bodies(marked) == bodies(unacked)
    assert all(event.duplicate.startswith("mute-00000001:") for event in marked)
    assert bodies([event for event in archives.events(directory) if not event.duplicate]) == sorted(sent)


def committed(directory: Path, *instances: str) -> int:
    marks = [read_watermark(directory, instance) for instance in instances]
    return sum(mark.events for mark in marks if mark)


def is_of(directory: Path, instance: str, event: Event) -> bool:
    return event in [
        one
        for path in directory.rglob(f"*{instance}-0*")
        if ".kvp" in path.name
        for batch in archives.batches(path)
        for one in batch.events()
    ]


def test_an_equal_message_after_a_clean_stop_is_not_marked(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path
) -> None:
    """Another consumer receives it and returns it, so that it is flagged as redelivered."""
    directory = tmp_path / "archive"
    with Deedbox(directory, "--url", url, "--queue", name, "--exchange", name, "--instance", "one") as deedbox:
        deedbox.wait_for("consuming")
        publish(publisher, name, [b"equal"])
        deedbox.wait_until(lambda: archives.count(directory) == 1, "the first is archived")
        assert deedbox.stop() == 0
        publish(publisher, name, [b"equal"])
        other = WirePublisher(url)
        assert other.get(name) == b"equal"
        other.close()
        deedbox.start()
        deedbox.wait_until(lambda: archives.count(directory) == 2, "the second is archived")
        assert deedbox.stop() == 0
    assert [(event.redelivered, event.duplicate) for event in archives.events(directory)] == [(False, ""), (True, "")]


def test_after_a_lost_connection_redelivered_events_are_marked(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path
) -> None:
    directory = tmp_path / "archive"
    sent = [b"%d" % n for n in range(100)]
    with (
        Relay(url) as relay,
        Deedbox(directory, "--url", relay.url, "--queue", name, "--exchange", name, "--instance", "one") as deedbox,
    ):
        deedbox.wait_for("consuming")
        relay.mute()
        publish(publisher, name, sent)
        deedbox.wait_until(lambda: archives.count(directory) == 100, "all are archived")
        relay.cut()
        deedbox.wait_until(lambda: archives.count(directory) == 200, "all came again")
        assert deedbox.stop() == 0
        assert sum(int(str(line["marked"])) for line in deedbox.lines("duplicates_marked")) == 100
    events = archives.events(directory)
    assert bodies([event for event in events if not event.duplicate]) == sorted(sent)
    firsts = {f"one-00000001:{number}": event.body for number, event in enumerate(events[:100])}
    assert all(firsts[event.duplicate] == event.body for event in events[100:])
