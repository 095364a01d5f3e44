"""The base of a section of the settings, and the types of settings that have a unit.

Each package declares its section in its `settings` module. `consumer.config.sections` puts the sections together.
"""

from enum import Enum
from typing import Annotated, Any

import msgspec
from msgspec import Meta


class Unit(Enum):
    """The unit of a setting that is also accepted as text, such as `128MiB` or `1h`."""

    BYTES = "bytes"
    SECONDS = "seconds"


IN_BYTES = {"unit": Unit.BYTES}  # for `Meta(extra=...)`
IN_SECONDS = {"unit": Unit.SECONDS}

Bytes = Annotated[int, Meta(ge=0, extra=IN_BYTES)]
Seconds = Annotated[float, Meta(ge=0, extra=IN_SECONDS)]
Arguments = dict[str, Any]  # an AMQP table


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A section. Every field has a default that is safe, and a `Meta(description=...)`."""
