"""Content headers of dead-lettered messages, as brokers write them."""

from codec.amqp import Field, Table, encode_header


def text(value: str) -> Field:
    return Field("S", value.encode())


def entry(
    queue: str = "orders",
    reason: str = "rejected",
    exchange: str = "shop",
    keys: tuple[str, ...] = ("order.new",),
    count: int = 1,
    time_s: int = 1_764_000_000,
    expiration: str | None = None,
) -> Field:
    """One table of `x-death`."""
    last = () if expiration is None else (("original-expiration", text(expiration)),)
    return Field("F", (
        ("count", Field("l", count)), ("reason", text(reason)), ("queue", text(queue)), ("time", Field("T", time_s)),
        ("exchange", text(exchange)), ("routing-keys", Field("A", tuple(map(text, keys)))), *last,
    ))  # fmt: skip


def first_death(queue: str = "orders", reason: str = "rejected", exchange: str = "shop") -> Table:
    return (
        ("x-first-death-exchange", text(exchange)),
        ("x-first-death-queue", text(queue)),
        ("x-first-death-reason", text(reason)),
    )


def last_death(queue: str = "orders", reason: str = "rejected", exchange: str = "shop") -> Table:
    return tuple((name.replace("first", "last"), field) for name, field in first_death(queue, reason, exchange))


def dead(*entries: Field, others: Table = (), **properties: object) -> bytes:
    """A content header with `x-death`. Without `entries`: one death."""
    x_death = ("x-death", Field("A", entries or (entry(),)))
    return encode_header(properties | {"headers": (*others, x_death)})


def dead_once(queue: str = "orders", reason: str = "rejected", exchange: str = "shop", key: str = "order.new") -> bytes:
    """A message that died once, with all headers of RabbitMQ 3.10."""
    return dead(entry(queue, reason, exchange, (key,)), others=first_death(queue, reason, exchange))
