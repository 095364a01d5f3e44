"""The settings of `watch`."""

from typing import Annotated, Literal

from msgspec import Meta

from consumer.section import Section


class WatchSection(Section, frozen=True):
    """The command `watch`, which publishes new lines of files."""

    exchange: Annotated[
        str,
        Meta(
            max_length=127,
            description="Exchange to publish to. Empty: the default exchange, which puts messages into the queue that routing_key names.",
        ),
    ] = ""
    routing_key: Annotated[str, Meta(max_length=255, description="Routing key of every message.")] = ""
    state: Annotated[
        str,
        Meta(
            description="File that stores which lines were published. Empty: nothing is stored, and lines that were not published before the end are not published later."
        ),
    ] = ""
    from_start: Annotated[bool, Meta(description="Publish also the lines that the files have at the first start.")] = (
        False
    )
    backend: Annotated[
        Literal["", "inotify", "polling"],
        Meta(
            description="How changes of files are noticed: inotify or polling. Empty: inotify where it works, else polling."
        ),
    ] = ""
