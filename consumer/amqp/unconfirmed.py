"""Account for the messages that were published on a channel and are not settled. Pure.

Invariants: every message that is added is settled exactly once, or is in `messages`. The order of messages is the order of publishing.
Source: RabbitMQ's guide "Publisher Confirms": confirms count from 1 on each channel, may be multiple, and may come in any order.
A returned message is sent back before its basic.ack, in the order of publishing.
"""

from collections.abc import Iterable, Iterator

from consumer.amqp.confirm_splitter import Confirm, Returned
from consumer.amqp.outgoing import Outgoing
from consumer.amqp.settled import Numbered, Outcome, Settled

NACKED = "the broker did not accept it (basic.nack): a queue is full and rejects publishes, or a queue failed"
MARKER_NAME = "x-deedbox-replay"
LIKENESS_MAX = 4
_MARKER = bytes((len(MARKER_NAME),)) + MARKER_NAME.encode() + b"F"


class Unconfirmed:
    """The messages of one channel that are not settled. `bytes`: their size."""

    def __init__(self) -> None:
        self._by_tag: dict[int, Numbered] = {}
        self._next = 1  # the delivery tag of the next message
        self._first = 1  # no message with a lower tag is left
        self._after_return = 1  # returns come in order, so the next one has this tag or a higher one
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._by_tag)

    def add(self, numbered: Numbered) -> None:
        """Add a message that is published now."""
        self._by_tag[self._next] = numbered
        self._next += 1
        self.bytes += len(numbered[1].body) + len(numbered[1].header)

    def confirm(self, answer: Confirm) -> list[Settled]:
        """Settle the messages of a basic.ack or basic.nack."""
        _channel, tag, multiple, accepted = answer
        outcome, reason = (Outcome.CONFIRMED, "") if accepted else (Outcome.REFUSED, NACKED)
        tags: Iterable[int] = (tag,)
        if multiple:
            tag = min(tag or self._next, self._next - 1)  # 0 means all
            tags = range(self._first, tag + 1)
            self._first = max(self._first, tag + 1)
        found = [numbered for numbered in map(self._take, tags) if numbered is not None]
        return [Settled(number, outcome, reason) for number, _message in found]

    def returned(self, answer: Returned) -> list[Settled]:
        """Settle the message that was returned. Its confirm, which follows, finds it settled."""
        tag = self._tag_of(answer)
        if tag is None:
            return []
        self._after_return = tag + 1
        found = self._take(tag)
        assert found is not None, "the tag was found"
        where = f"exchange {answer.exchange!r}, routing key {answer.routing_key!r}"
        return [Settled(found[0], Outcome.UNROUTABLE, f"{answer.code} {answer.text}: {where}")]

    def messages(self) -> list[Numbered]:
        """Return the messages in order."""
        return list(self._by_tag.values())

    def _take(self, tag: int) -> Numbered | None:
        found = self._by_tag.pop(tag, None)
        if found is not None:
            self.bytes -= len(found[1].body) + len(found[1].header)
        return found

    def _tag_of(self, answer: Returned) -> int | None:
        """Find the first message that may have been returned as `answer`, and that is most like it.

        The broker may send the header back with other bytes, for example without `BCC`. The marker, if there is one, still identifies it.
        """
        best, tag_of_best = 0, None
        for tag, message in self._after_last_return():
            if message.exchange == answer.exchange and message.routing_key == answer.routing_key:
                likeness = _likeness(message, answer)
                if likeness > best:
                    best, tag_of_best = likeness, tag
                if likeness == LIKENESS_MAX:
                    break
        return tag_of_best

    def _after_last_return(self) -> Iterator[tuple[int, Outgoing]]:
        for tag in range(max(self._first, self._after_return), self._next):
            if tag in self._by_tag:
                yield tag, self._by_tag[tag][1]


def _likeness(message: Outgoing, answer: Returned) -> int:
    """Return how well a message of the same exchange and routing key matches what was returned: 1 to LIKENESS_MAX."""
    if message.body != answer.body:
        return 1
    if message.header == answer.header:
        return LIKENESS_MAX
    marker = _marker_of(answer.header)
    return 3 if marker and marker == _marker_of(message.header) else 2


def _marker_of(header: bytes) -> bytes:
    """Return the bytes of the marker in a content header, or nothing if it has none."""
    at = header.find(_MARKER)
    if at < 0:
        return b""
    start = at + len(_MARKER)
    return header[start : start + 4 + int.from_bytes(header[start : start + 4], "big")]
