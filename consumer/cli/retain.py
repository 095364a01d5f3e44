"""The command that applies retention: retain."""

from typing import Annotated

from cyclopts import Parameter

from consumer.cli.command import MAINTAIN, command
from consumer.cli.interrupt import end_soon_after_signals
from consumer.cli.parameters import Config, Paths, Set
from consumer.errors import Exit, Fatal

Destinations = Annotated[
    tuple[str, ...],
    Parameter(
        negative=(),
        consume_multiple=False,
        help="URL of a destination, as for ship. Repeatable. [default: setting ship.destinations]",
    ),
]


@command(
    "retain", MAINTAIN,
    "retain DIR --age 30d --dry-run",
    "retain DIR --to s3://BUCKET/PREFIX --bytes 100GiB",
    "retain DIR s3://BUCKET/PREFIX --free 20GiB --remote-age 365d",
)  # fmt: skip
def retain(
    locations: Paths,
    /,
    *,
    to: Destinations = (),
    age: Annotated[
        str | None,
        Parameter(help="Remove archives whose last event arrived this long ago. [default: setting retain.age_s]"),
    ] = None,
    bytes: Annotated[
        str | None,
        Parameter(
            help="Remove the oldest while all archives together have more bytes than this. [default: setting retain.bytes]"
        ),
    ] = None,
    count: Annotated[
        str | None,
        Parameter(help="Remove the oldest while there are more archives than this. [default: setting retain.count]"),
    ] = None,
    free: Annotated[
        str | None,
        Parameter(
            help="Remove the oldest while the disk has less free space than this. [default: setting retain.free_bytes]"
        ),
    ] = None,
    remote_age: Annotated[
        str | None,
        Parameter(help="As --age, for the objects at each destination. [default: setting retain.remote_age_s]"),
    ] = None,
    remote_bytes: Annotated[
        str | None,
        Parameter(help="As --bytes, for the objects at each destination. [default: setting retain.remote_bytes]"),
    ] = None,
    remote_count: Annotated[
        str | None,
        Parameter(help="As --count, for the objects at each destination. [default: setting retain.remote_count]"),
    ] = None,
    dry_run: Annotated[
        bool,
        Parameter(negative=(), help="Print what would be removed and why, and what stays and why. Remove nothing."),
    ] = False,
    config: Config = None,
    set: Set = (),
) -> int:
    """Remove the oldest archives beyond the limits, here and at destinations.

    Without a limit nothing is removed. An archive is removed only if every destination has it, verified now, if every
    follower has passed it, and if no legal hold is on it. The newest archive of each instance stays. What is removed is recorded in
    the digests first, so that verify does not report a loss.

    Name one directory. URLs among the arguments are destinations, as with --to. Without a destination, archives are removed of which no
    other copy is known. Exit status 1 if an archive must stay that a limit asks for, unless a hold is on it or it is the newest.
    """
    from consumer.cli.commands.retain import retain_archives
    from consumer.config import loader

    _check_unit("--age", age)
    _check_unit("--remote-age", remote_age)
    flags = {
        "retain.age_s": age, "retain.bytes": bytes, "retain.count": count, "retain.free_bytes": free,
        "retain.remote_age_s": remote_age, "retain.remote_bytes": remote_bytes, "retain.remote_count": remote_count,
    }  # fmt: skip
    loaded = loader.load(config, loader.environment(), flags, list(set))
    end_soon_after_signals()
    return retain_archives(locations, to, loaded, dry_run)


def _check_unit(option: str, text: str | None) -> None:
    """Raises Fatal for a number without a unit: it would be seconds, and days are usually meant. 0 needs none."""
    if text is not None and text.strip().replace(".", "", 1).isdigit() and text.strip(" 0."):
        raise Fatal(Exit.SETTINGS, f"{option} {text} has no unit", f"write it with one, such as {text}d for days")
