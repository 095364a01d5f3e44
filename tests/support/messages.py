"""Messages of every kind that a broker accepts, from a seed."""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from codec.amqp import Decimal, Field, encode_header


class Sent(NamedTuple):
    key: bytes
    header: bytes
    body: bytes


def every_field(random: Random) -> tuple[tuple[str, Field], ...]:
    """One of each type that RabbitMQ knows."""
    return (
        ("t", Field("t", random.random() < 0.5)),
        ("b", Field("b", random.randrange(-128, 128))),
        ("B", Field("B", random.randrange(256))),
        ("s", Field("s", random.randrange(-32768, 32768))),
        ("u", Field("u", random.randrange(65536))),
        ("I", Field("I", random.randrange(-(1 << 31), 1 << 31))),
        ("i", Field("i", random.randrange(1 << 32))),
        ("l", Field("l", random.randrange(-(1 << 63), 1 << 63))),
        ("f", Field("f", float(random.randrange(1000)))),
        ("d", Field("d", random.random())),
        ("D", Field("D", Decimal(random.randrange(10), random.randrange(1 << 31)))),
        ("S", Field("S", "tëxt|%\n".encode())),
        ("x", Field("x", random.randbytes(9))),
        ("T", Field("T", random.randrange(1 << 32))),
        ("V", Field("V", None)),
        ("A", Field("A", (Field("I", 1), Field("S", b"two"), Field("F", (("three", Field("t", True)),))))),
        ("F", Field("F", nested(20))),
    )


def nested(depth: int) -> tuple[tuple[str, Field], ...]:
    """Nested tables, `depth` levels deep."""
    table: tuple[tuple[str, Field], ...] = (("bottom", Field("S", b"here")),)
    for _ in range(depth):
        table = (("down", Field("F", table)),)
    return table


ODD_TEXTS = ("a|b%c", "new\nline", "nul\0", "\udced\udca0\udc80", "é" * 120, "x" * 255, "😀", "")


def properties(random: Random, serial: int) -> dict[str, object]:
    """All properties, some, or none."""
    kind = random.randrange(10)
    if kind == 0:
        return {}
    found: dict[str, object] = {"delivery_mode": 2}
    if kind < 6:
        found |= {"message_id": f"id-{serial}", "content_type": "application/json"}
    if kind == 6:
        found |= {"message_id": random.choice(ODD_TEXTS), "type": random.choice(ODD_TEXTS)}
    if kind >= 7:
        found |= {
            "content_type": "text/plain", "content_encoding": "utf-8", "headers": every_field(random), "priority": 3,
            "correlation_id": f"c{serial}", "reply_to": "nowhere", "expiration": "86400000", "message_id": f"all-{serial}",
            "timestamp": random.randrange(1 << 34), "type": "a.type", "app_id": "tests", "cluster_id": "here",
        }  # fmt: skip
    return found


def bodies(random: Random, serial: int, size: int) -> bytes:
    """Text, JSON, JSON that is none, or binary, of about that size; the serial makes it unique."""
    mark = b"%d:" % serial
    kind = random.randrange(5)
    if kind == 0:
        return mark + random.randbytes(size)
    if kind == 1:
        return mark + b'{"event_type": "not json'
    if kind == 2:
        return mark + ('"\\\n\t\0é😀|' * (size // 12)).encode()
    return b'{"serial":%d,"text":"%b"}' % (serial, b"x" * size)


def messages(count: int, seed: int, size_max: int = 1 << 20) -> Iterator[Sent]:
    """`count` different messages, most of them small, the largest of `size_max` bytes; one of them is empty."""
    random = Random(seed)
    for serial in range(count):
        size = random.randrange(600)
        if serial % 500 == 7:
            size = random.randrange(size_max)
        body = b"" if serial == 0 else bodies(random, serial, size_max - 20 if serial == 1 else size)
        key = random.choice([b"a.b", b"notifications.info", b"odd|%\n\x00\xff", "ключ".encode()])
        yield Sent(key, encode_header(properties(random, serial)), body)
