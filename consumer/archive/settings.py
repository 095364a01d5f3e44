"""The settings of archives: their directory, their content, and the time of sealing."""

from typing import Annotated

from msgspec import Meta

from consumer.archive import naming
from consumer.section import IN_SECONDS, Bytes, Seconds, Section


class ArchiveSection(Section, frozen=True):
    """The archives."""

    dir: Annotated[str, Meta(min_length=1, description="Directory of the archives.")] = "archive"
    instance: Annotated[
        str,
        Meta(description="Name of this writer. No other writer of the directory may have it. Empty: the host name."),
    ] = ""
    name: Annotated[str, Meta(description="Template of the path of a sealed archive, inside the directory.")] = (
        naming.TEMPLATE
    )
    level: Annotated[int, Meta(ge=1, le=19, description="Compression level of zstd, 1 to 19.")] = 1
    describe: Annotated[
        tuple[str, ...],
        Meta(
            description="Sources of the id, the type, the time and the tags of an event. amqp: the properties of the message, which are always the first source. Each further one refines the result: openstack, cloudevents, celery, firehose, broker-events, otel, or a function of yours as module:function. In the environment and with --set, separate them by commas."
        ),
    ] = ("amqp",)
    free_bytes_min: Annotated[
        Bytes, Meta(description="Pause when the disk has less free space than this, in bytes.")
    ] = 64 << 20


class RollSection(Section, frozen=True):
    """An archive is sealed when it reaches one of these limits. 0 means no limit."""

    bytes: Annotated[Bytes, Meta(description="Seal the archive at this size, in bytes.")] = 128 << 20
    age_s: Annotated[Seconds, Meta(description="Seal the archive at this age, in seconds.")] = 3600.0
    events: Annotated[int, Meta(ge=0, description="Seal the archive at this number of events.")] = 0
    align_s: Annotated[
        int,
        Meta(
            ge=0,
            extra=IN_SECONDS,
            description="Seal the archive when the UTC time passes a multiple of this, in whole seconds.",
        ),
    ] = 0
