"""`Outgoing`: one message to publish, with its content header as bytes."""

from typing import NamedTuple


class Outgoing(NamedTuple):
    """A message to publish. A named tuple, because one is created for every message.

    `header`: the content header from the property flags on, as `Event.header` holds it. The broker gets exactly these bytes.
    """

    exchange: str
    routing_key: str
    header: bytes
    body: bytes
