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
from tests.support.dying import Cemetery, die_in_every_way
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
    found = {event.body: to_origin(event) for event in archived(cemetery, url, tmp_path / "archive")}
    for body in [body for body in found if b"copies-keyed" in body]:
        found[body] = sorted_by_name(found[body])  # a CC that RabbitMQ 3 removed comes back as the last header
    assert found == {
        sent.body: Outgoing(cemetery.exchange, sent.key, sent.expected, sent.body) for sent in cemetery.sent
    }
