"""The names that `archive.describe` accepts: presets, and functions of the user as `module:function`."""

import difflib
import re
from collections.abc import Iterator, Sequence
from enum import StrEnum

_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


class Preset(StrEnum):
    """A describer that comes with Deedbox."""

    AMQP = "amqp"
    OPENSTACK = "openstack"
    CLOUDEVENTS = "cloudevents"
    CELERY = "celery"
    FIREHOSE = "firehose"
    BROKER_EVENTS = "broker-events"
    OTEL = "otel"


def is_function(name: str) -> bool:
    """Whether the name has the form `module:function`."""
    return _FUNCTION.fullmatch(name) is not None


def name_faults(names: Sequence[str]) -> Iterator[str]:
    """What is wrong with the names: one text each."""
    if not names:
        yield "expected at least one name; 'amqp' is the default"
    for name in names:
        if name not in list(Preset) and not is_function(name):
            near = difflib.get_close_matches(name, list(Preset), 1, 0.4)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            yield f"unknown name {name!r}, expected {', '.join(Preset)} or module:function{hint}"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name!r} is there more than once"
