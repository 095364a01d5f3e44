"""The command line: one small function a command. What fails is one line on standard error and an exit status."""

import asyncio
import os
import sys
import time
import traceback
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import cyclopts
from cyclopts import Parameter

from consumer import log, settings
from consumer.errors import DeedboxError, Exit, Fatal

app = cyclopts.App(
    name="deedbox",
    help="Keep every event that crosses an AMQP exchange.",
    version=version("deedbox"),
    version_flags=["--version"],
    help_format="plaintext",
)

Config = Annotated[Path | None, Parameter(name=["--config", "-c"], help="A TOML file of settings.")]
Set = Annotated[
    tuple[str, ...],
    Parameter(name="--set", consume_multiple=False, negative=(), help="Any setting: section.name=value. Repeatable."),
]
Format = Annotated[Literal["jsonl", "table", "raw"], Parameter(help="JSON lines, a table, or bodies.")]
Paths = Annotated[list[Path], Parameter(help="Archives, or directories of them.")]


@app.command
def run(
    *,
    config: Config = None,
    url: Annotated[str | None, Parameter(help="The broker, amqp:// or amqps://.")] = None,
    queue: Annotated[str | None, Parameter(help="The queue to consume.")] = None,
    exchange: Annotated[str | None, Parameter(help="The exchange to bind the queue to.")] = None,
    binding_key: Annotated[
        tuple[str, ...], Parameter(negative=(), help="A routing key to bind with. Repeatable.")
    ] = (),
    dir: Annotated[str | None, Parameter(help="The directory of the archives.")] = None,
    instance: Annotated[str | None, Parameter(help="Who writes; unique in the directory.")] = None,
    set: Set = (),
) -> int:
    """Consume until told to stop: archive every delivery, then acknowledge it.

    SIGTERM and SIGINT drain and stop, SIGHUP seals the open archive.
    """
    flags = {
        "broker.url": url, "broker.queue": queue, "broker.exchange": exchange,
        "broker.binding_keys": binding_key or None, "archive.dir": dir, "archive.instance": instance,
    }  # fmt: skip
    loaded = settings.load(config, settings.environment(), flags, list(set))
    from consumer.service import Service  # the AMQP library costs a second that other commands need not pay

    log.start(console={"json": False, "console": True}.get(loaded.service.log))

    async def serve() -> Exit:
        return await Service(loaded).run()

    try:
        return asyncio.run(serve())
    except Fatal as fatal:
        log.emit("failed", exit=int(fatal.exit), reason=fatal.what, do=fatal.do)
        return fatal.exit
    finally:
        log.flush()


@app.command
def demo(
    *,
    events: Annotated[int, Parameter(help="How many notifications to publish.")] = 20_000,
    keep: Annotated[Path | None, Parameter(help="Keep the archives in this directory.")] = None,
) -> int:
    """The main job on a laptop: broker, events, a kill -9 in the middle, recovery, verify, search."""
    from consumer.demo.show import show

    return show(events, keep, settings.environment())


@app.command
def cat(
    paths: Paths,
    /,
    *,
    format: Annotated[Literal["jsonl", "raw", "kvp"], Parameter(help="JSON lines, bodies, or KVP records.")] = "jsonl",
) -> int:
    """Print archives in order. What cannot be read is named on standard error, and the status is 1."""
    from consumer.archive.cat import cat_archives

    return _damaged(cat_archives(paths, format, sys.stdout.buffer, _complain))


@app.command
def search(
    paths: Paths,
    /,
    *,
    since: Annotated[str | None, Parameter(help="From this time on: ISO 8601, or 15m, 2h, 7d for so long ago.")] = None,
    until: Annotated[str | None, Parameter(help="Up to this time, inclusive.")] = None,
    type: Annotated[
        tuple[str, ...], Parameter(negative=(), help="A glob; with ! in front, what is left out. Repeatable.")
    ] = (),
    tag: Annotated[tuple[str, ...], Parameter(negative=(), help="Must have this tag. Repeatable.")] = (),
    id: Annotated[tuple[str, ...], Parameter(negative=(), help="One of these ids. Repeatable.")] = (),
    exchange: Annotated[str | None, Parameter(help="A glob for the exchange.")] = None,
    routing_key: Annotated[str | None, Parameter(help="A glob for the routing key.")] = None,
    match: Annotated[str | None, Parameter(help="A regular expression, anywhere in the body.")] = None,
    where: Annotated[
        tuple[str, ...], Parameter(negative=(), help="A condition on a JSON body: payload.size>=10. Repeatable.")
    ] = (),
    order: Annotated[Literal["asc", "desc"], Parameter(help="By time, the oldest or the newest first.")] = "asc",
    limit: Annotated[int | None, Parameter(help="At most so many.")] = None,
    count: Annotated[bool, Parameter(negative=(), help="Only say how many.")] = False,
    explain: Annotated[bool, Parameter(negative=(), help="Say on standard error what was read.")] = False,
    format: Format = "jsonl",
    local: Annotated[bool, Parameter(negative=(), help="Times in the zone of this machine.")] = False,
    workers: Annotated[int, Parameter(help="Processes that decode ahead.")] = 0,
) -> int:
    """Find events, by time across all archives, open ones included. All conditions must hold.

    Status 1 if something could not be read; what is whole is found all the same.
    """
    from consumer.reading import Answer, Asked, show_search

    asked = Asked(since, until, id, type, tag, exchange, routing_key, match, where, local)
    return show_search(paths, asked, Answer(order, limit, count, explain, format, workers), print, _complain)


@app.command
def get(id: str, paths: Paths, /, *, format: Format = "jsonl") -> int:
    """Print the event with this id. Status 3 if there is none."""
    from consumer.reading import show_event

    return show_event(paths, id, format, _complain)


@app.command
def delete(id: str, paths: Paths, /) -> int:
    """Hide the events with this id at once, for good reasons such as privacy. Status 3 if there is none."""
    from consumer import reading

    return reading.delete(paths, id, print, _complain)


@app.command
def compact(paths: Paths, /) -> int:
    """Take deleted events out of sealed archives for good. Every other event keeps its place."""
    from consumer.reading import show_compaction

    return show_compaction(paths, print)


@app.command(name="import")
def import_(
    paths: Annotated[list[Path], Parameter(help="Files, or directories of them.")],
    /,
    *,
    format: Annotated[
        Literal["shoebox", "theia", "cloudinit", "jsonl"],
        Parameter(help="What wrote them; shoebox and jsonl also read gzip files."),
    ],
    dir: Annotated[Path, Parameter(help="The directory of the archives.")],
    instance: Annotated[str, Parameter(help="Who writes; unique in the directory.")] = "import",
) -> int:
    """Archive the events of other systems' files. What is no event is named on standard error, and the status is 1."""
    from consumer.converting import import_files

    return import_files(paths, format, dir, instance, print, _complain)


@app.command
def export(
    paths: Paths,
    /,
    *,
    format: Annotated[
        Literal["shoebox", "shoebox-json", "theia", "cloudinit", "jsonl", "parquet"],
        Parameter(help="Whose files; parquet needs the extra of that name."),
    ],
    out: Annotated[Path, Parameter(help="The directory for the files; none is ever replaced.")],
    since: Annotated[str | None, Parameter(help="From this time on.")] = None,
    until: Annotated[str | None, Parameter(help="Up to this time, inclusive.")] = None,
    type: Annotated[tuple[str, ...], Parameter(negative=(), help="A glob, as for search. Repeatable.")] = (),
) -> int:
    """Write events as files of other systems. What a format has no place for is said; status 1 if an event was left out."""
    from consumer.converting import export_events
    from consumer.reading import Asked

    query = Asked(since=since, until=until, types=type).query(time.time_ns() // 1000)
    return export_events(paths, query, format, out, print, _complain)


@app.command
def verify(paths: Paths, /) -> int:
    """Prove that archives are complete, or name what is not: file, offset, reason. Status 1 if anything is missing."""
    from consumer.archive.show import show_verdicts

    return _damaged(not show_verdicts(paths, print))


@app.command
def repair(
    paths: Paths, /, *, dry_run: Annotated[bool, Parameter(negative=(), help="Say what would be done.")] = False
) -> int:
    """Seal archives of dead instances and rebuild damaged ones; originals and torn bytes are kept beside them."""
    from consumer.archive.show import show_repairs

    return _damaged(not show_repairs(paths, dry_run, print))


@app.command
def health(
    *,
    config: Config = None,
    dir: Annotated[str | None, Parameter(help="The directory of the archives.")] = None,
    instance: Annotated[str | None, Parameter(help="Which instance.")] = None,
    set: Set = (),
) -> int:
    """Whether the service makes progress, from what it last proved. Status 1 if not."""
    from consumer.health import health_path, judge

    flags = {"archive.dir": dir, "archive.instance": instance}
    loaded = settings.load(config, settings.environment(), flags, list(set))
    well, why = judge(health_path(Path(loaded.archive.dir), loaded.instance), time.time())
    print(why)
    return _damaged(not well)


@app.command(name="config")
def show_config(*, config: Config = None, set: Set = ()) -> int:
    """Show every setting in force, with its meaning; secrets are masked."""
    loaded = settings.load(config, settings.environment(), {}, list(set))
    for name, value, default, meaning in settings.shown(loaded):
        changed = "" if value == default else f"  (default {settings.as_toml(default)})"
        print(f"{name} = {settings.as_toml(value)}{changed}\n    {meaning}")
    return Exit.OK


def _damaged(damaged: bool) -> int:
    return Exit.DAMAGED if damaged else Exit.OK


def _complain(text: str) -> None:
    print(f"deedbox: {text}", file=sys.stderr)


def main() -> None:
    """Entry point of `deedbox`."""
    sys.exit(_status(lambda: app(exit_on_error=False, print_error=False, result_action="return_value")))


def _status(command: Callable[[], object]) -> int:
    try:
        status = command()
        sys.stdout.flush()
        return int(status) if isinstance(status, int) else Exit.OK
    except cyclopts.CycloptsError as error:
        _complain(" ".join(str(error).split()) + " See deedbox --help.")
        return Exit.SETTINGS
    except DeedboxError as error:
        _complain(str(error))
        return error.exit if isinstance(error, Fatal) else Exit.INTERNAL
    except BrokenPipeError:
        # The reader has seen enough. Without this, the interpreter complains when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except KeyboardInterrupt:
        return 130
    except Exception:  # noqa: BLE001 -- a defect of ours: its place in the code is what helps to mend it
        traceback.print_exc()
        _complain("this is a defect of Deedbox; please report it with the lines above")
        return Exit.INTERNAL
