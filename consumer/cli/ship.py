"""The commands of object storage: ship and fetch."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from consumer.cli.command import OBJECTS, command
from consumer.cli.interrupt import end_soon_after_signals
from consumer.cli.parameters import Config, OnePath, Set
from consumer.errors import Exit, Fatal


@command(
    "ship", OBJECTS,
    "ship DIR --to s3://BUCKET/PREFIX --once",
    "ship DIR --to file:///mnt/copy --set ship.bytes_per_s=10MB",
    "ship --init-key digests.key",
)  # fmt: skip
def ship(
    directory: Annotated[OnePath | None, Parameter(help="Directory of the archives.")] = None,
    /,
    *,
    to: Annotated[
        tuple[str, ...],
        Parameter(
            negative=(),
            consume_multiple=False,
            help="URL of a destination: s3://, gs://, az:// or file:///DIRECTORY. Repeatable. [default: setting ship.destinations]",
        ),
    ] = (),
    once: Annotated[bool, Parameter(negative=(), help="Ship what is sealed now, and end.")] = False,
    init_key: Annotated[
        Path | None,
        Parameter(
            help="Make a key that signs digests in this file, print its public key, and end. [default: no key is made]"
        ),
    ] = None,
    config: Config = None,
    set: Set = (),
) -> int:
    """Copy sealed archives to object storage, and verify each copy.

    An archive counts as shipped when the destination returns its size and its SHA-256. What is there already is not sent again. An
    object of the same name with other content is an error, and is not overwritten. Nothing is removed.

    Runs until a signal ends it. With --once it ends when everything is shipped, with exit status 1 if something could not be. The
    credentials are those of AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL, or of the settings.
    """  # fmt: skip
    from consumer.cli.commands.ship import make_key, ship_on, ship_once
    from consumer.config import loader

    if init_key is not None:
        return make_key(init_key)
    if directory is None:
        raise Fatal(Exit.SETTINGS, "no directory is named", "name the directory of the archives")
    loaded = loader.load(config, loader.environment(), {"ship.destinations": to or None}, list(set))
    if not loaded.ship.destinations:
        raise Fatal(Exit.SETTINGS, "no destination is named", "use --to URL, or set ship.destinations")
    if not directory.is_dir():
        raise Fatal(Exit.SETTINGS, f"{directory} is not a directory", "name the directory of the archives")
    if not once:
        return ship_on(directory, loaded)
    end_soon_after_signals()
    return ship_once(directory, loaded)


@command(
    "fetch", OBJECTS,
    "fetch s3://BUCKET/PREFIX --to DIR",
    "fetch s3://BUCKET/PREFIX --to DIR --since 7d",
)  # fmt: skip
def fetch(
    urls: Annotated[list[str], Parameter(help="URLs to which archives were shipped, or URLs of single archives.")],
    /,
    *,
    to: Annotated[OnePath, Parameter(help="Directory for the archives. A file that exists is never overwritten.")],
    since: Annotated[
        str | None,
        Parameter(help="Only archives with events that arrived since: ISO 8601, or an age such as 7d. [default: all]"),
    ] = None,
    until: Annotated[
        str | None, Parameter(help="Only archives with events that arrived until then, inclusive. [default: all]")
    ] = None,
    config: Config = None,
    set: Set = (),
) -> int:
    """Restore archives from object storage, each one verified.

    An archive is restored if its SHA-256 is the one that it had when it was shipped and all of it can be read. What is there already is
    not fetched again, so that a second run continues the first. Deleted events stay deleted. Digests are restored too, but not with
    --since or --until. Exit status 1 if something could not be restored.
    """
    from consumer.cli.commands.fetch import fetch_archives
    from consumer.config import loader
    from consumer.objects.stores import configure

    configure(loader.load(config, loader.environment(), {}, list(set)).objects)
    end_soon_after_signals()
    return fetch_archives(urls, to, since, until)
