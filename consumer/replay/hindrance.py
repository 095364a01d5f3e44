"""Why an event could not be published to another broker, and how long to wait for that to change. Pure: the caller gives the time.

Invariants: a fault of the destination as a whole is waited for without a limit, because setting everything aside would help nobody. A message
that no broker of these settings ever accepts is set aside at once. An event that no queue takes is waited for until the patience is over, and
then set aside, so that one of them does not stop the others for ever.
"""

import re
from enum import Enum, auto

from consumer.amqp.settled import Outcome, Settled

# Of the broker's texts. A user id that differs from the login is accepted as soon as the user gets the tag `impersonator`. An internal
# error may be one of the broker, which passes, or come from a header that the broker cannot read.
_DESTINATION = re.compile(r"no exchange |access to |ACCESS_REFUSED|internal exchange|basic\.nack")
_MAYBE_LATER = re.compile(r"user_id property|INTERNAL_ERROR")
_GAP_S = 60.0  # longer than the longest wait before an event is tried again


class Hindrance(Enum):
    """The kinds of reasons."""

    DESTINATION = auto()  # the exchange or a permission is missing, or a queue rejects publishes
    ROUTE = auto()  # no queue takes the event, its user id is not permitted, or the broker reports an internal error
    MESSAGE = auto()  # the broker never accepts the message


def hindrance_of(settled: Settled) -> Hindrance | None:
    """Why the message was not confirmed; None if it was."""
    if settled.outcome is Outcome.CONFIRMED:
        return None
    if settled.outcome is Outcome.UNROUTABLE or _MAYBE_LATER.search(settled.reason):
        return Hindrance.ROUTE
    return Hindrance.DESTINATION if _DESTINATION.search(settled.reason) else Hindrance.MESSAGE


class Patience:
    """How long events without a route are waited for, in seconds.

    The time begins with the first such event. When it is over, every event without a route is set aside at once. It begins anew after as
    long a time without such an event, and never while an event is only waiting to be tried again.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._since = self._last = float("-inf")

    def is_over(self, now_s: float) -> bool:
        """Note that an event has no route now. Return whether to set it aside."""
        if now_s - self._last > max(self._patience_s, _GAP_S):
            self._since = now_s
        self._last = now_s
        return now_s - self._since >= self._patience_s
