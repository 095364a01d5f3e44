"""The outcome of published messages, and the limits of what may be without an outcome. Values only."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from consumer.amqp.outgoing import Outgoing

Numbered = tuple[int, Outgoing]  # a message under the number that the caller chose


class Outcome(Enum):
    """What became of a published message."""

    CONFIRMED = auto()  # every queue that it was routed to has it
    UNROUTABLE = auto()  # no queue took it; the broker sent it back
    REFUSED = auto()  # the broker does not accept it


class Settled(NamedTuple):
    """The outcome of one message. `number`: the caller's. `reason`: why it was not confirmed, in the broker's words."""

    number: int
    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class Window:
    """How much may be unconfirmed at the same time: messages, and bytes of headers and bodies."""

    messages: int = 2000
    bytes: int = 8 << 20
