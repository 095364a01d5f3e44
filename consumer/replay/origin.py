"""A dead-lettered message as it was published before it died first: the route of `replay --to-origin`. Pure.

Invariants: only headers that a broker adds to a message that dies or is delivered are removed, so that the message starts afresh and can die and be
counted again. All other headers keep their bytes. What `x-death` does not say is not guessed: then the event is not published.
Sources: those of `codec.deaths`, and `rabbit_fifo_client.erl` for the counts of deliveries.
"""

from codec.amqp import SHORT_MAX, Field, Table, encode_table, encode_text
from codec.deaths import FIRST_DEATH, LAST_DEATH, X_DEATH, Death, deaths_of
from codec.errors import CodecError
from codec.event import Event
from codec.header_parts import edit_headers, header_of, headers_in, parts_of
from consumer.amqp.outgoing import Outgoing
from consumer.replay.target import Overrides, Route, Unpublishable, message, unreadable

RECEIPTS = "to-origin"  # their name, if the user gives none
NOT_DEAD_LETTERED = Unpublishable("was not dead-lettered")

_OF_DELIVERY = ("x-delivery-count", "x-acquired-count", "x-stream-offset")  # of quorum queues and of streams
_REMOVED = frozenset((X_DEATH, *FIRST_DEATH, *LAST_DEATH, *_OF_DELIVERY))
_CC = "CC"


def origin_route(overrides: Overrides) -> Route:
    """`to_origin`, and then the headers of the overrides. Raises Fatal for a header that AMQP cannot hold."""
    if not overrides.headers:
        return to_origin
    change = overrides.route()

    def route(event: Event) -> Outgoing | Unpublishable:
        found = to_origin(event)
        if isinstance(found, Unpublishable):
            return found
        return change(event._replace(exchange=found.exchange, routing_key=found.routing_key, header=found.header))

    return route


def to_origin(event: Event) -> Outgoing | Unpublishable:
    """The message for the exchange and the routing key of the first death, or why there is none."""
    deaths = deaths_of(event.header)
    if deaths is None:
        return NOT_DEAD_LETTERED
    first = deaths.first
    if first.exchange is None or not first.routing_keys:
        missing = "exchange" if first.exchange is None else "routing key"
        return Unpublishable(f"its header x-death does not name the {missing} of its first death")
    try:
        header = _with_expiration(_without_deaths(event.header, first), first)
    except CodecError as error:
        return unreadable(error)
    return message(first.exchange, first.routing_keys[0], header, event.body)


def _without_deaths(header: bytes, first: Death) -> bytes:
    """The header without what brokers added. Raises CodecError.

    RabbitMQ 3 removes the header CC if the dead-letter exchange is given its own routing key. `x-death` has its keys, so it is put back.
    The header BCC is removed from every message, and nothing remembers it.
    """
    added: Table = ()
    if len(first.routing_keys) > 1 and all(pair.name != _CC for pair in headers_in(header)):
        keys = tuple(Field("S", encode_text(key)) for key in first.routing_keys[1:])
        added = ((_CC, Field("A", keys)),)
    return edit_headers(header, lambda name: name not in _REMOVED, (encode_table(added)[4:],))


def _with_expiration(header: bytes, first: Death) -> bytes:
    """The header with the expiration that the broker removed, unless it was the cause of the first death. Raises CodecError.

    The time begins again when the message is published. A message that had expired would only expire again.
    """
    text = first.original_expiration
    if (
        first.reason == "expired"
        or text is None
        or not (text.isascii() and text.isdecimal() and len(text) <= SHORT_MAX)
    ):
        return header
    parts = parts_of(header)
    return header_of({"expiration": bytes((len(text),)) + text.encode()} | parts)
