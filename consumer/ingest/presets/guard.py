"""Enclose describers: a failure changes nothing, and a function of the user can set id, type, time and tags and nothing else.

Invariants: a guarded describer never raises. If it fails, the event stays as it was, and the first failure is logged. A function of
the user is checked too, for every message. The presets are not: they make their events with `values.refine`, and the tests check them.
"""

import traceback

from codec.event import TIME_US_MAX, TIME_US_MIN, Event
from codec.limits import TEXT_CHARACTERS_MAX
from consumer import log
from consumer.amqp.delivery import Delivery
from consumer.ingest import log_events
from consumer.ingest.describe import Describer

RESERVED_TAGS = "deedbox:"  # Deedbox marks events of its own by tags that begin so
REASON_CHARACTERS_MAX = 300
_DELIVERY_FIELDS = ("arrived_us", "exchange", "routing_key", "header", "body", "redelivered", "duplicate")


class Guard:
    """A describer that is enclosed. `name`: as in the settings."""

    def __init__(self, name: str, describer: Describer) -> None:
        self._name, self._describer = name, describer
        self._reported = False

    def __call__(self, delivery: Delivery, event: Event) -> Event:
        """The event as the describer refines it; the event itself if the describer fails."""
        try:
            return self._describer(delivery, event)
        except BaseException as error:  # noqa: BLE001 -- a function of the user may raise anything; on the writer thread no interrupt arrives
            self._report(delivery, error)
            return event

    def _report(self, delivery: Delivery, error: BaseException) -> None:
        if not self._reported:
            self._reported = True
            log.emit(
                log_events.DESCRIBER_FAILED, describer=self._name, reason=_reason(error), exchange=delivery.exchange,
                routing_key=delivery.routing_key,
            )  # fmt: skip


def checking(function: Describer) -> Describer:
    """The function with a check of its result; it raises TypeError and ValueError as `checked` does."""

    def describer(delivery: Delivery, event: Event) -> Event:
        found = function(delivery, event)
        return event if found is event else checked(found, event)

    return describer


def checked(found: object, event: Event) -> Event:
    """The event with the id, type, time and tags that a describer found.

    Raises TypeError and ValueError if an archive cannot hold them, or if `found` differs from the event in another field.
    """
    if not isinstance(found, Event):
        raise TypeError(f"{type(found).__name__} returned, an Event expected: event._replace(id=..., type=...)")
    changed = [name for name in _DELIVERY_FIELDS if getattr(found, name) != getattr(event, name)]
    if changed:
        raise ValueError(f"{changed[0]} was changed; only id, type, time_us and tags may be")
    tags = (*found.tags,)
    for name, text in (("id", found.id), ("type", found.type), *(("tag", tag) for tag in tags)):
        _check_text(name, text)
    if sum(len(tag) + 3 for tag in tags) > TEXT_CHARACTERS_MAX:
        raise ValueError(f"tags of more than {TEXT_CHARACTERS_MAX} characters returned")
    if any(tag.startswith(RESERVED_TAGS) for tag in tags if tag not in event.tags):
        raise ValueError(f"a tag that begins with {RESERVED_TAGS!r} returned; these are reserved")
    if type(found.time_us) is not int or not TIME_US_MIN <= found.time_us <= TIME_US_MAX:
        raise ValueError(f"time_us {found.time_us!r:.99} returned, microseconds since 1970 expected, an int")
    return event._replace(id=found.id, type=found.type, time_us=found.time_us, tags=tags)


def _check_text(name: str, text: object) -> None:
    """Raise TypeError or ValueError if the text is none. Subclasses of `str` may behave like other texts later."""
    if type(text) is not str:
        raise TypeError(f"{name} of type {type(text).__name__} returned, str expected")
    if len(text) > TEXT_CHARACTERS_MAX:
        raise ValueError(f"{name} of {len(text)} characters returned, at most {TEXT_CHARACTERS_MAX} allowed")


def _reason(error: BaseException) -> str:
    """Type and text of the error, and the line of the code that raised it."""
    text = traceback.format_exception_only(error)[-1].strip()[:REASON_CHARACTERS_MAX]
    frames = traceback.extract_tb(error.__traceback__)
    return f"{text} ({frames[-1].filename}, line {frames[-1].lineno})" if frames else text
