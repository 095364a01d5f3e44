"""The settings of retention."""

from typing import Annotated

import msgspec
from msgspec import Meta

from consumer.errors import Exit, Fatal
from consumer.section import IN_SECONDS, Arguments, Bytes, Seconds, Section
from consumer.ship.retention.limits import Limits


class RetainSection(Section, frozen=True):
    """Which archives are removed. 0 means no limit; without a limit nothing is removed.

    An archive is never removed before every destination has it and every follower has passed it.
    """

    age_s: Annotated[
        Seconds, Meta(description="Remove an archive when its last event arrived this long ago, in seconds.")
    ] = 0.0
    bytes: Annotated[
        Bytes, Meta(description="Remove the oldest archives while all archives together have more bytes than this.")
    ] = 0
    count: Annotated[int, Meta(ge=0, description="Remove the oldest archives while there are more than this.")] = 0
    free_bytes: Annotated[
        Bytes, Meta(description="Remove the oldest archives while the disk has less free space than this, in bytes.")
    ] = 0
    remote_age_s: Annotated[
        Seconds, Meta(description="As age_s, for the objects at each destination of ship.destinations, in seconds.")
    ] = 0.0
    remote_bytes: Annotated[Bytes, Meta(description="As bytes, for the objects at each destination, in bytes.")] = 0
    remote_count: Annotated[int, Meta(ge=0, description="As count, for the objects at each destination.")] = 0
    destinations: Annotated[
        Arguments,
        Meta(
            description="Limits of single destinations instead of remote_…: a table by URL with age_s, bytes and count, in seconds and bytes."
        ),
    ] = msgspec.field(default_factory=dict)
    every_s: Annotated[
        float,
        Meta(ge=1, extra=IN_SECONDS, description="Time between two runs of retention in the service, in seconds."),
    ] = 300.0

    @property
    def local(self) -> Limits:
        """The limits of the archive directory."""
        return Limits(self.age_s, self.bytes, self.count, self.free_bytes)

    def remote(self, url: str) -> Limits:
        """The limits of a destination. Raises Fatal if they are no limits."""
        if url not in self.destinations:
            return Limits(self.remote_age_s, self.remote_bytes, self.remote_count)
        try:
            own = msgspec.convert(self.destinations[url], _Remote)
        except msgspec.ValidationError as error:
            what = f"retain.destinations: {url}: {error}"
            raise Fatal(Exit.SETTINGS, what, "give age_s, bytes and count, as numbers of seconds and bytes") from error
        return Limits(own.age_s, own.bytes, own.count)


class _Remote(Section, frozen=True):
    """The limits of one destination."""

    age_s: Annotated[float, Meta(ge=0)] = 0.0
    bytes: Annotated[int, Meta(ge=0)] = 0
    count: Annotated[int, Meta(ge=0)] = 0
