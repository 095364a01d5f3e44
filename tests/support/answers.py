"""What a broker answers to published messages, as bytes on the wire. Encoded by the library where it can."""

import struct
from collections.abc import Iterator

import pamqp.frame
from pamqp import commands as spec

from codec.amqp import encode_text
from consumer.amqp.confirm_splitter import Answer, Blocked, Closed, Confirm, Returned
from tests.support.wire import frame, short


def frames_of(answer: Answer, body_max: int = 4000) -> list[bytes]:
    """The frames of an answer."""
    match answer:
        case Confirm(channel, tag, multiple, True):
            return [pamqp.frame.marshal(spec.Basic.Ack(tag, multiple), channel)]
        case Confirm(channel, tag, multiple, False):
            return [pamqp.frame.marshal(spec.Basic.Nack(tag, multiple), channel)]
        case Blocked(""):
            return [pamqp.frame.marshal(spec.Connection.Unblocked(), 0)]
        case Blocked(reason):
            return [pamqp.frame.marshal(spec.Connection.Blocked(reason), 0)]
        case Closed(0, code, text):
            return [pamqp.frame.marshal(spec.Connection.Close(code, text, 0, 0), 0)]
        case Closed(channel, code, text):
            return [pamqp.frame.marshal(spec.Channel.Close(code, text, 60, 40), channel)]
        case Returned():
            return list(_returned(answer, body_max))


def _returned(answer: Returned, body_max: int) -> Iterator[bytes]:
    """Not through the library, which refuses many names and encodes the header again."""
    texts = b"".join(short(encode_text(text)) for text in (answer.text, answer.exchange, answer.routing_key))
    yield frame(1, answer.channel, struct.pack(">HHH", 60, 50, answer.code) + texts)
    yield frame(2, answer.channel, struct.pack(">HHQ", 60, 0, len(answer.body)) + answer.header)
    for at in range(0, len(answer.body), body_max):
        yield frame(3, answer.channel, answer.body[at : at + body_max])
