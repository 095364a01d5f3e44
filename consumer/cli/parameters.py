"""The arguments and options that several commands have."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import cyclopts
from cyclopts import Parameter

from consumer.archive.location import Location, parse_location
from consumer.cli.command import OUTPUT
from consumer.cli.interrupt import end_soon_after_signals
from consumer.objects.url import ObjectUrl

Config = Annotated[Path | None, Parameter(name=["--config", "-c"], help="TOML file with settings.")]
Set = Annotated[
    tuple[str, ...],
    Parameter(
        name="--set",
        consume_multiple=False,
        negative=(),
        help="Any setting, as section.name=value; `deedbox config` lists them. Repeatable.",
    ),
]
Directory = Annotated[str | None, Parameter(help="Directory of the archives. [default: setting archive.dir]")]
Url = Annotated[str | None, Parameter(help="URL of the broker, amqp:// or amqps://. [default: setting broker.url]")]
EventFormat = Annotated[
    Literal["jsonl", "table", "raw"],
    Parameter(group=OUTPUT, help="Output format: JSON lines, a table, or the bodies as they are."),
]
JsonBody = Annotated[
    bool,
    Parameter(
        negative=(), group=OUTPUT,
        help="Show a body that is JSON as JSON, in the member body_json. Other bodies stay in body (text) or body_base64.",
    ),
]  # fmt: skip
Columns = Annotated[
    str | None,
    Parameter(
        group=OUTPUT,
        help="Columns of --format table, separated by commas: id, type, time, arrived, tags, exchange, routing_key, redelivered, "
        "duplicate, position, body, headers.NAME, properties.NAME, or a field of a JSON body such as payload.size. "
        "[default: time, position, type, body; on a wide terminal also id and routing_key]",
    ),
]
Local = Annotated[
    bool, Parameter(negative=(), group=OUTPUT, help="Use the time zone of this machine for times. [default: UTC]")
]
Limit = Annotated[int | None, Parameter(group=OUTPUT, help="Maximum number of events. [default: no limit]")]
Workers = Annotated[
    int | None,
    Parameter(
        help="Number of processes that read ahead; 0 reads in this process only. [default: chosen automatically]"
    ),
]
Cluster = Annotated[
    str | None,
    Parameter(
        help="Address of the scheduler of a Dask cluster, tcp://HOST:PORT. Its workers read instead of processes of this machine, "
        "at the same paths or URLs. Needs the extra `cluster` of the package. [default: none]"
    ),
]
EventName = Annotated[str, Parameter(help="Id of the event, or its position, such as a1-00000007:41.")]


STDIN = Path("/dev/stdin")  # `-` on the command line


def _path(_: object, tokens: Sequence[cyclopts.Token]) -> Path:
    if not (text := tokens[0].value):
        raise cyclopts.CoercionError(
            msg="A path is empty. Is a variable of the shell empty? Use . for the current directory."
        )
    try:
        location = parse_location(text)
    except ValueError as error:
        raise cyclopts.CoercionError(msg=str(error)) from error
    if isinstance(location, Path):
        return location
    raise cyclopts.CoercionError(
        msg=f"{location}: only local paths can be given here. Run the command where the archives are made, or copy them with `deedbox fetch` first."
    )


def _archive_path(type_: object, tokens: Sequence[cyclopts.Token]) -> Path:
    path = _path(type_, tokens)
    if path == STDIN:
        raise cyclopts.CoercionError(
            msg="Archives cannot be read from standard input, because reading begins at their end. Save the archive as a file."
        )
    return path


OnePath = Annotated[Path, Parameter(converter=_path)]
_ArchivePath = Annotated[Path, Parameter(converter=_archive_path)]
LocalPaths = Annotated[list[_ArchivePath], Parameter(help="Archives, or directories of archives.")]


def _location(token: cyclopts.Token) -> Location:
    try:
        location = parse_location(token.value)
    except ValueError as error:
        raise cyclopts.CoercionError(msg=str(error)) from error
    return location if isinstance(location, ObjectUrl) else _archive_path(None, [token])


def _locations(_: object, tokens: Sequence[cyclopts.Token]) -> list[Location]:
    return [_location(token) for token in tokens]


Paths = Annotated[
    list[Location],
    Parameter(  # a converter of the elements would not be called, because their type is a union
        converter=_locations, help="Archives, directories of archives, or URLs of them such as s3://bucket/prefix."
    ),
]


@dataclass(frozen=True, kw_only=True)
class StorageSettings:
    """The settings of a command that reads URLs. Without options: those of the environment."""

    config: Annotated[
        Path | None,
        Parameter(name=["--config", "-c"], help="TOML file with settings, for URLs. [default: environment variables]"),
    ] = None
    set: Set = ()

    def apply(self, paths: Sequence[Location]) -> None:
        """Use the settings for the object storages of this process, if there is a URL or an option. Raises Fatal."""
        if any(isinstance(path, ObjectUrl) for path in paths):
            end_soon_after_signals()
        if self.config or self.set or any(isinstance(path, ObjectUrl) for path in paths):
            from consumer.archive.reading.footer_cache import FooterCache, use_cache
            from consumer.config import loader
            from consumer.config.user_folders import cache_folder
            from consumer.objects.stores import configure

            objects = loader.load(self.config, loader.environment(), {}, list(self.set)).objects
            configure(objects)
            use_cache(FooterCache(cache_folder() / "footers", objects.cache_bytes) if objects.cache_bytes else None)


FROM_ENVIRONMENT = StorageSettings()
Storage = Annotated[StorageSettings, Parameter(name="*")]
