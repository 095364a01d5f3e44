"""Where an archived event is published, and with which headers. Pure.

Invariant: without overrides, exchange, routing key, header bytes and body are those that were archived.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from codec.amqp import SHORT_MAX, Field, encode_table, encode_text
from codec.errors import CodecError
from codec.event import Event
from codec.header_parts import edit_headers
from consumer.amqp.outgoing import Outgoing
from consumer.errors import Exit, Fatal

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_SURELY_SHORT = SHORT_MAX // 4  # characters: each has at most four bytes


class Unpublishable(NamedTuple):
    """An event that cannot be a message for the broker. `reason`: one sentence without its position."""

    reason: str


Route = Callable[[Event], Outgoing | Unpublishable]


@dataclass(frozen=True)
class Overrides:
    """What differs from the archived event. None: as archived. `headers`: they replace headers of the same names."""

    exchange: str | None = None
    routing_key: str | None = None
    headers: tuple[tuple[str, Field], ...] = ()

    def route(self) -> Route:
        """A function from an event to its message. Raises Fatal for a name that AMQP cannot hold."""
        for what, name in (("exchange", self.exchange), ("routing key", self.routing_key)):
            if name is not None and fault_of(what, name):
                raise Fatal(Exit.SETTINGS, f"{fault_of(what, name)}", f"use a shorter name of the {what}")
        try:
            pairs = encode_table(self.headers)[4:]
        except CodecError as error:
            raise Fatal(Exit.SETTINGS, f"a header cannot be sent: {error}", "use another name or value") from error
        names = frozenset(name for name, _ in self.headers)

        def route(event: Event) -> Outgoing | Unpublishable:
            header = event.header
            if pairs:
                try:
                    header = edit_headers(header, lambda name: name not in names, (pairs,))
                except CodecError as error:
                    return unreadable(error)
            exchange = event.exchange if self.exchange is None else self.exchange
            key = event.routing_key if self.routing_key is None else self.routing_key
            return message(exchange, key, header, event.body)

        return route


def message(exchange: str, routing_key: str, header: bytes, body: bytes) -> Outgoing | Unpublishable:
    """A message, if AMQP can hold its names and its header."""
    if len(header) < 2:
        return Unpublishable(f"its content header has {len(header)} bytes, at least 2 are expected")
    if len(exchange) > _SURELY_SHORT or len(routing_key) > _SURELY_SHORT:
        fault = fault_of("exchange", exchange) or fault_of("routing key", routing_key)
        if fault:
            return Unpublishable(fault)
    return Outgoing(exchange, routing_key, header, body)


def unreadable(error: CodecError) -> Unpublishable:
    """The event has headers that cannot be changed, because they cannot be read."""
    return Unpublishable(f"its headers cannot be read: {error}")


def fault_of(what: str, name: str) -> str:
    """Why AMQP cannot hold the name of an exchange, or a routing key; empty if it can."""
    size = len(encode_text(name))
    return f"its {what} has {size} bytes, at most {SHORT_MAX} are allowed" if size > SHORT_MAX else ""


def parse_headers(texts: Sequence[str]) -> tuple[tuple[str, Field], ...]:
    """Headers from texts such as `retries=3`. Of one name, the last one counts. Raises Fatal."""
    return tuple({name: (name, field) for name, field in map(_parse_header, texts)}.values())


def _parse_header(text: str) -> tuple[str, Field]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Fatal(Exit.SETTINGS, f"--header {text!r} has no name and value", "write --header NAME=VALUE")
    if len(encode_text(name)) > SHORT_MAX:
        what = f"--header: a name of {len(encode_text(name))} bytes, at most {SHORT_MAX} are allowed"
        raise Fatal(Exit.SETTINGS, what, "use a shorter name")
    return name, _typed(value, text)


def _typed(value: str, text: str) -> Field:
    """`true` and `false` as booleans, numbers as numbers, and everything else as text, also what is in double quotes."""
    if _INTEGER.fullmatch(value):
        if not -(1 << 63) <= int(value[:30]) < 1 << 63 or len(value) > 20:
            raise Fatal(
                Exit.SETTINGS, f"--header {text!r} does not fit into 64 bits", "use text: --header NAME='\"…\"'"
            )
        return Field("l", int(value))
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return Field("S", encode_text(value))
    match found:
        case bool():
            return Field("t", found)
        case float():
            return Field("d", found)
        case str():
            return Field("S", encode_text(found))
    return Field("S", encode_text(value))
