"""The deaths of a dead-lettered message, as its headers tell them: where and why it died first, and where and why last.

Pure. Invariant: no header raises; what cannot be read is missing. Sources: RabbitMQ's `rabbit_dead_letter.erl` (3.10) and `mc.erl` and
`mc_amqpl.erl` (4). Both write the array `x-death`: one table for each queue and reason, the one of the last death first. `count` counts
the deaths of that queue and reason; all other fields are those of the first of them. The tables after the first one are in no certain order:
RabbitMQ 3.10 reverses them each time, and moves a repeated one to the front. So the first death is found by `x-first-death-queue` and
`x-first-death-reason`, which both versions write once and never change. RabbitMQ 4 also writes `x-last-death-*`, which equal the first table.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from codec.amqp import decode_text
from codec.errors import CodecError
from codec.header_parts import RawField, elements_of, headers_in, pairs_of

X_DEATH = "x-death"
FIRST_DEATH = ("x-first-death-queue", "x-first-death-reason", "x-first-death-exchange")
LAST_DEATH = ("x-last-death-queue", "x-last-death-reason", "x-last-death-exchange")
REASONS = ("rejected", "expired", "maxlen", "delivery_limit")

_MARK = b"-death"  # every header above contains it
_INTEGERS = {
    "b": True,
    "B": False,
    "s": True,
    "u": False,
    "I": True,
    "i": False,
    "l": True,
    "T": False,
}  # kind: is signed


@dataclass(frozen=True, slots=True)
class Death:
    """One queue and reason of death. None: the header does not say it.

    `count`: deaths in this queue for this reason. The other fields are those of the first of these deaths. `routing_keys`: the
    key of the message, and then those of its header `CC`. `time_s`: in seconds since 1970. `original_expiration`: the expiration of the message
    in milliseconds, as text; the broker removes it from a message that dies.
    """

    queue: str | None = None
    reason: str | None = None
    exchange: str | None = None
    routing_keys: tuple[str, ...] = ()
    count: int | None = None
    time_s: int | None = None
    original_expiration: str | None = None


class Deaths(NamedTuple):
    """The first and the last death of a message. Both are the same for most messages."""

    first: Death
    last: Death


def deaths_of(header: bytes) -> Deaths | None:
    """The deaths of a message with this content header; None if it was never dead-lettered. Never raises."""
    if _MARK not in header:
        return None
    try:
        found = _first_of_each_name(header)
    except CodecError:
        return None
    entries = list(_entries(found.get(X_DEATH)))
    queue, reason, exchange = (_text(found.get(name)) for name in FIRST_DEATH)
    first = Death(queue, reason, exchange)
    if first == Death():
        return Deaths(_oldest(entries), entries[0]) if entries else None
    same = (entry for entry in entries if (entry.queue, entry.reason) == (queue, reason))
    return Deaths(next(same, first), entries[0] if entries else first)


def _first_of_each_name(header: bytes) -> dict[str, RawField]:
    """The headers by name. The broker uses the first one of a name."""
    found: dict[str, RawField] = {}
    for pair in headers_in(header):
        found.setdefault(pair.name, pair.field)
    return found


def _entries(array: RawField | None) -> Iterator[Death]:
    """The tables of `x-death` that tell a death. What is damaged is left out."""
    if array is None or array.kind != "A":
        return
    try:
        for field in elements_of(array.value):
            if field.kind == "F" and (death := _death(field.value)) != Death():
                yield death
    except CodecError:
        return


def _death(table: bytes) -> Death:
    """The death that a table tells, as far as it can be read."""
    found: dict[str, RawField] = {}
    try:
        for pair in pairs_of(table):
            found.setdefault(pair.name, pair.field)
    except CodecError:
        pass  # the pairs before the damage count
    return Death(
        _text(found.get("queue")), _text(found.get("reason")), _text(found.get("exchange")), tuple(_keys(found)),
        _number(found.get("count")), _number(found.get("time")), _text(found.get("original-expiration")),
    )  # fmt: skip


def _keys(table: Mapping[str, RawField]) -> Iterator[str]:
    """The texts of the array `routing-keys`, up to the first damaged byte."""
    array = table.get("routing-keys")
    if array is None or array.kind != "A":
        return
    try:
        yield from (decode_text(field.value) for field in elements_of(array.value) if field.kind == "S")
    except CodecError:
        return


def _text(field: RawField | None) -> str | None:
    return decode_text(field.value) if field is not None and field.kind == "S" else None


def _number(field: RawField | None) -> int | None:
    if field is None or field.kind not in _INTEGERS:
        return None
    return int.from_bytes(field.value, "big", signed=_INTEGERS[field.kind])


def _oldest(entries: list[Death]) -> Death:
    """The entry of the earliest time; of several, the last one. For messages of brokers before 3.7, which wrote no `x-first-death-*`."""
    return min(reversed(entries), key=lambda entry: (entry.time_s is None, entry.time_s or 0))
