"""Dead letters of a real broker: archived, grouped, selected, and turned into the messages that were published first."""

from collections import Counter
from pathlib import Path

import orjson
import pytest

from codec.deaths import deaths_of
from codec.event import Event
from codec.header_parts import edit_headers, headers_in
from consumer.amqp.outgoing import Outgoing
from consumer.errors import Exit
from consumer.query.search import Search
from consumer.replay.origin import to_origin
from consumer.replay.target import Unpublishable
from tests.support.command_line import deedbox
from tests.support.dying import Cemetery, die_in_every_way, wait_until
from tests.support.replaying import drained
from tests.support.wire import WirePublisher


@pytest.fixture
def cemetery(publisher: WirePublisher, name: str) -> Cemetery:
    made = Cemetery(publisher, name)
    die_in_every_way(made)
    return made


def archived(cemetery: Cemetery, url: str, directory: Path) -> list[Event]:
    """The events of the dead-letter queue, archived by the service."""
    done = deedbox("run", "--dir", directory, "--url", url, "--queue", cemetery.dead, "--until-empty")
    assert done.returncode == Exit.OK, done.stderr
    return [event for event, _ in Search([directory])]


def sorted_by_name(message: Outgoing | Unpublishable) -> Outgoing:
    """The message with its headers in the order of their names."""
    assert isinstance(message, Outgoing)
    pairs = sorted(headers_in(message.header), key=lambda pair: pair.name)
    return message._replace(header=edit_headers(message.header, lambda name: False, [pair.raw for pair in pairs]))


def test_each_way_of_dying_is_grouped_and_selected(cemetery: Cemetery, url: str, tmp_path: Path) -> None:
    events = archived(cemetery, url, tmp_path / "archive")
    expected = Counter((sent.queue, sent.reason) for sent in cemetery.sent)
    assert {reason for _, reason in expected} == {"rejected", "expired", "maxlen", "delivery_limit"}
    stats = deedbox("stats", tmp_path / "archive", "--by", "x-death.queue,x-death.reason", "--format", "jsonl")
    lines = [orjson.loads(line) for line in stats.stdout.splitlines()]
    assert {(line["x-death.queue"], line["x-death.reason"]): line["events"] for line in lines} == expected
    for (queue, reason), count in expected.items():
        found = deedbox(
            "search", tmp_path / "archive", "--dead-lettered-from", queue, "--death-reason", reason, "--count"
        )
        assert int(found.stdout) == count
    lasts = {event.id: deaths.last.queue for event in events if (deaths := deaths_of(event.header))}
    thrice = next(f"id-{number}" for number, sent in enumerate(cemetery.sent) if sent.queue.endswith("thrice"))
    assert str(lasts[thrice]).endswith("thrice-1-q")


def test_each_dead_letter_becomes_the_message_that_was_published(cemetery: Cemetery, url: str, tmp_path: Path) -> None:
    """Byte for byte, but for BCC, and for an expiration that had been the cause."""
    assert_as_sent({event.body: to_origin(event) for event in archived(cemetery, url, tmp_path / "archive")}, cemetery)


def assert_as_sent(found: dict[bytes, Outgoing | Unpublishable], cemetery: Cemetery) -> None:
    """`found`: the re-injected messages by their bodies."""
    for body in [body for body in found if b"copies-keyed" in body]:
        found[body] = sorted_by_name(found[body])  # a CC that RabbitMQ 3 removed comes back as the last header
    assert found == {
        sent.body: Outgoing(cemetery.exchange, sent.key, sent.expected, sent.body) for sent in cemetery.sent
    }


def replayed(directory: Path, url: str, *arguments: str) -> list[str]:
    """The lines of a replay to the origin that ends well."""
    done = deedbox("replay", directory, "--url", url, "--to-origin", *arguments)
    assert (done.returncode, done.stderr) == (Exit.OK, "")
    return [line.partition(",")[0] for line in done.stdout.splitlines()]


def test_a_replay_to_the_origin_publishes_each_message_once(cemetery: Cemetery, url: str, tmp_path: Path) -> None:
    archived(cemetery, url, tmp_path / "archive")
    every = len(cemetery.sent)
    witness = f"{cemetery.exchange}-witness"
    cemetery.publisher.declare(witness)
    cemetery.publisher.bind(witness, cemetery.exchange, b"#")
    assert replayed(tmp_path / "archive", url, "--no-marker") == [f"published: {every} events"]
    events = drained(url, witness, tmp_path / "again")
    assert len(events) == every
    by_body: dict[bytes, Outgoing | Unpublishable] = {
        one.body: Outgoing(one.exchange, one.routing_key, one.header, one.body) for one in events
    }
    assert_as_sent(by_body, cemetery)
    assert replayed(tmp_path / "archive", url) == ["published: 0 events", f"left out: {every} events"]
    assert cemetery.publisher.messages(witness)[0] == 0
    assert replayed(tmp_path / "archive", url, "--again", "--death-reason", "maxlen") == ["published: 1 event"]
    assert replayed(tmp_path / "archive", url, "--checkpoint", "another") == [f"published: {every} events"]
    assert cemetery.publisher.messages(witness)[0] == every + 1


def test_a_message_that_dies_again_is_a_new_event_and_is_counted(
    publisher: WirePublisher, url: str, name: str, tmp_path: Path
) -> None:
    """It is published again, and its marker says how often."""
    cemetery, directory = Cemetery(publisher, name), tmp_path / "archive"
    queue = cemetery.queue("orders")
    for _ in range(3):
        cemetery.publish(queue, "rejected")
        cemetery.reject(queue)
    cemetery.wait_for_dead_letters()
    archived(cemetery, url, directory)
    for dying in (3, 1):
        assert replayed(directory, url)[0] == "published: 3 events"
        for _ in range(dying):
            cemetery.reject(queue)
        wait_until(lambda dying=dying: publisher.messages(cemetery.dead)[0] == dying)
        archived(cemetery, url, directory)
    assert replayed(directory, url) == ["published: 1 event", "left out: 6 events"]
    assert replayed(directory, url) == ["published: 0 events", "left out: 7 events"]
    assert publisher.messages(queue)[0] == 3
    stats = deedbox(
        "stats", directory, "--by", "x-death.queue,x-death.count,headers.x-deedbox-replay.count", "--format", "jsonl"
    )
    assert [list(orjson.loads(line).values()) for line in stats.stdout.splitlines()] == [
        [queue, "1", None, 3], [queue, "1", "1", 3], [queue, "1", "2", 1],
    ]  # fmt: skip
    came_back = deedbox("search", directory, "--where", "headers.x-deedbox-replay.count>=1", "--count")
    assert came_back.stdout == "4\n"


def test_an_event_that_was_not_dead_lettered_is_listed_and_the_others_are_published(
    publisher: WirePublisher, url: str, name: str, tmp_path: Path
) -> None:
    cemetery, directory = Cemetery(publisher, name), tmp_path / "archive"
    queue = cemetery.queue("orders")
    cemetery.publish(queue, "rejected")
    cemetery.reject(queue)
    cemetery.wait_for_dead_letters()
    publisher.publish(b"", cemetery.dead.encode(), b"\0\0", b"alive")
    publisher.wait_for_confirms()
    archived(cemetery, url, directory)
    done = deedbox("replay", directory, "--url", url, "--to-origin")
    assert done.returncode == Exit.DAMAGED
    assert done.stdout.startswith("published: 1 event,")
    assert "was not dead-lettered" in done.stderr.splitlines()[0]
    assert done.stderr.splitlines()[-1].endswith("not published: 1 event: 1 not publishable")
    assert publisher.messages(queue)[0] == 1
