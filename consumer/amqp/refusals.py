"""Find the messages that the broker's text about a closed channel names. Pure.

Invariant: a message is named only if the broker would close the channel with the same text for it alone. If the text names none,
the caller publishes the messages one at a time.
Source: `rabbit_channel.erl` of RabbitMQ 3.10 to 4, handling of basic.publish.
"""

import re
from collections.abc import Callable, Sequence

from codec.amqp import decode_header
from codec.errors import CodecError
from consumer.amqp.confirm_splitter import Closed
from consumer.amqp.outgoing import Outgoing
from consumer.amqp.settled import Numbered

_Test = Callable[[Outgoing, "re.Match[str]"], bool]

# Channel codes come from a message; of the codes of a connection only those that a message can cause.
_OF_A_MESSAGE = {501, 502, 503, 505, 540, 541}


def _shown(message: Outgoing) -> str:
    """The name of the exchange in the broker's texts about permissions."""
    return message.exchange or "amq.default"


def _property(message: Outgoing, name: str) -> object:
    try:
        return decode_header(message.header, shallow=True).get(name)
    except CodecError:
        return None


_TESTS: tuple[tuple[str, _Test], ...] = (
    (r"no exchange '(.*)' in vhost", lambda message, found: message.exchange == found[1]),
    (r"access to exchange '(.*)' in vhost", lambda message, found: _shown(message) == found[1]),
    (r"cannot publish to internal exchange '(.*)' in vhost", lambda message, found: message.exchange == found[1]),
    (
        r"access to topic '(.*)' in exchange '(.*)' in vhost",
        lambda message, found: message.exchange == found[2] and message.routing_key == found[1],
    ),
    (r"message size (\d+) (?:is )?larger than", lambda message, found: len(message.body) == int(found[1])),
    (r"user_id property set to '(.*)' but", lambda message, found: _property(message, "user_id") == found[1]),
    (r"invalid expiration '(.*)':", lambda message, found: _property(message, "expiration") == found[1]),
)  # fmt: skip


def is_about_a_message(closed: Closed) -> bool:
    """Return whether a message may be the reason, and not the state of the broker or of the connection."""
    return bool(closed.channel) or closed.code in _OF_A_MESSAGE


def named(closed: Closed, messages: Sequence[Numbered]) -> list[Numbered]:
    """Return the messages that the text names."""
    for pattern, test in _TESTS:
        if found := re.search(pattern, closed.text, re.DOTALL):
            return [(number, message) for number, message in messages if test(message, found)]
    return []
