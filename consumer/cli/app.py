"""The command line: one small function a command. What fails is one line on standard error and an exit status."""

import asyncio
import signal
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

import cyclopts
from cyclopts import Parameter

from consumer import log, log_events
from consumer.cli.filters import NO_FILTERS, Filtered, zone_of
from consumer.cli.printing import OutputLost, discard_output, open_streams
from consumer.cli.read import Local, OnePath, Paths, Workers, add_to, complain
from consumer.config import loader as settings
from consumer.config.sections import Settings
from consumer.errors import DeedboxError, Exit, Fatal

app = cyclopts.App(
    name="deedbox",
    help="Keep every event that crosses an AMQP exchange.",
    version=version("deedbox"),
    version_flags=["--version"],
    help_format="plaintext",
    default_parameter=Parameter(show_default=lambda value: None if value in ((), "", False) else value),
)

add_to(app)

Config = Annotated[Path | None, Parameter(name=["--config", "-c"], help="A TOML file of settings.")]
Set = Annotated[
    tuple[str, ...],
    Parameter(name="--set", consume_multiple=False, negative=(), help="Any setting: section.name=value. Repeatable."),
]


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
    instance: Annotated[str | None, Parameter(help="The name of the writer; unique in the directory.")] = None,
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

    async def serve() -> Exit:
        return await Service(loaded).run()

    return _logged(loaded, lambda: asyncio.run(serve()))


def _logged(loaded: Settings, serve: Callable[[], Exit]) -> Exit:
    """Run a service with a log; that it cannot go on is an event of the log."""
    log.start(console={"json": False, "console": True}.get(loaded.service.log))
    try:
        return serve()
    except Fatal as fatal:
        if fatal.exit is Exit.WRITER:
            traceback.print_exception(fatal)  # the place in the code is needed to repair it
        log.emit(log_events.FAILED, exit=int(fatal.exit), reason=fatal.what, do=fatal.do)
        return fatal.exit
    finally:
        log.flush()


@app.command
def watch(
    files: Annotated[list[OnePath], Parameter(help="The files, which need not be there yet.")],
    /,
    *,
    config: Config = None,
    url: Annotated[str | None, Parameter(help="The broker, amqp:// or amqps://.")] = None,
    exchange: Annotated[str | None, Parameter(help="The exchange to publish to; empty: a queue by its name.")] = None,
    routing_key: Annotated[str | None, Parameter(help="The routing key.")] = None,
    state: Annotated[
        str | None,
        Parameter(
            help="Remember in this file what was published, and go on there. Without it, lines that were not published at the end are not published later."
        ),
    ] = None,
    from_start: Annotated[bool, Parameter(negative=(), help="Publish also what the files hold already.")] = False,
    backend: Annotated[
        Literal["inotify", "polling"] | None, Parameter(help="How to learn of changes; the better one by default.")
    ] = None,
    set: Set = (),
) -> int:
    """Publish new lines of files, each confirmed by the broker, through rotation, truncation and renames.

    SIGTERM and SIGINT end it after the batch that is being published.
    """
    flags = {
        "broker.url": url, "watch.exchange": exchange, "watch.routing_key": routing_key, "watch.state": state,
        "watch.from_start": from_start or None, "watch.backend": backend,
    }  # fmt: skip
    loaded = settings.load(config, settings.environment(), flags, list(set))
    if not (loaded.watch.exchange or loaded.watch.routing_key):
        what = "neither an exchange nor a routing key is named: nothing says where the lines go"
        raise Fatal(Exit.SETTINGS, what, "name --exchange, or --routing-key for the queue of this name, or both")
    from consumer.forward.forward import watch_files

    return _logged(loaded, lambda: watch_files(files, loaded.watch, loaded.topology, loaded.service.drain_s))


@app.command
def demo(
    *,
    events: Annotated[int, Parameter(help="How many notifications to publish.")] = 20_000,
    keep: Annotated[
        Path | None, Parameter(help="Keep the archives in this directory, which must be new or empty.")
    ] = None,
) -> int:
    """The main job on a laptop: broker, events, a kill -9 in the middle, recovery, verify, search."""
    from consumer.demo.show import show

    return show(events, keep, settings.environment())


@app.command
def cat(
    paths: Paths,
    /,
    *,
    filters: Filtered = NO_FILTERS,
    format: Annotated[
        Literal["jsonl", "table", "raw", "kvp"], Parameter(help="JSON lines, a table, bodies, or KVP records.")
    ] = "jsonl",
    limit: Annotated[int | None, Parameter(help="Maximum number of events. Default: no limit.")] = None,
    local: Local = False,
) -> int:
    """Print events in the order of the archives. What cannot be read is named on standard error, and the status is 1.

    Examples: `deedbox cat DIR`, `deedbox cat DIR --format raw --type 'compute.*'`.
    """
    from consumer.cli.reading import cat_all

    return cat_all(paths, filters.query(local), format, zone_of(local), complain, limit)


@app.command
def verify(
    paths: Paths,
    /,
    *,
    format: Annotated[Literal["text", "jsonl"], Parameter(help="A line an archive, or a JSON object.")] = "text",
    workers: Workers = None,
    acknowledge: Annotated[
        bool, Parameter(negative=(), help="Record that the faults are known; they do not count after that.")
    ] = False,
    reason: Annotated[str, Parameter(help="With --acknowledge: why, for the record.")] = "",
) -> int:
    """Prove that archives are complete, or name what is not: file, offset, reason. Status 1 if anything is missing."""
    from consumer.cli.reading import show_verdicts

    if reason and not acknowledge:
        raise Fatal(Exit.SETTINGS, "--reason without --acknowledge", "name both, or none")
    return show_verdicts(paths, workers, format, print, reason if acknowledge else None)


@app.command
def repair(
    paths: Paths, /, *, dry_run: Annotated[bool, Parameter(negative=(), help="Say what would be done.")] = False
) -> int:
    """Seal archives of dead instances and rebuild damaged ones; originals and torn bytes are kept beside them."""
    from consumer.archive.checking.report import show_repairs

    return _damaged(not show_repairs(paths, dry_run, print))


@app.command
def health(
    *,
    config: Config = None,
    dir: Annotated[str | None, Parameter(help="The directory of the archives.")] = None,
    instance: Annotated[str | None, Parameter(help="Which instance.")] = None,
    set: Set = (),
) -> int:
    """Report whether the service makes progress, and if not, why. The status is then 1."""
    from consumer.health import Instant, health_path, judge

    flags = {"archive.dir": dir, "archive.instance": instance}
    loaded = settings.load(config, settings.environment(), flags, list(set))
    well, why = judge(health_path(Path(loaded.archive.dir), loaded.instance), Instant.now())
    print(why)
    return _damaged(not well)


@app.command(name="config")
def show_config(*, config: Config = None, set: Set = ()) -> int:
    """Print the settings in force as a TOML file, with a comment for each. Passwords are not shown.

    Example: `deedbox config > deedbox.toml`, then `deedbox run --config deedbox.toml`.
    """
    from consumer.config.render import render

    print(render(settings.load(config, settings.environment(), {}, list(set))), end="")
    return Exit.OK


def _damaged(damaged: bool) -> int:
    return Exit.DAMAGED if damaged else Exit.OK


def _terminate(number: int, _frame: FrameType | None) -> None:
    """End as at Ctrl-C: a command removes the files that it has begun."""
    sys.exit(128 + number)


def main() -> None:
    """Entry point of `deedbox`."""
    open_streams()
    signal.signal(signal.SIGTERM, _terminate)  # `run` and `watch` have handlers of their own
    status = _status(lambda: app(exit_on_error=False, print_error=False, result_action="return_value"))
    try:
        sys.stdout.flush()
    except OutputLost:
        discard_output()
    sys.exit(status)


def _status(command: Callable[[], object]) -> int:
    try:
        status = command()
        sys.stdout.flush()
        return int(status) if isinstance(status, int) else Exit.OK
    except cyclopts.CycloptsError as error:
        complain(" ".join(str(error).split()) + " See deedbox --help.")
        return Exit.SETTINGS
    except DeedboxError as error:
        complain(str(error))
        return error.exit if isinstance(error, Fatal) else Exit.DAMAGED
    except OutputLost as error:
        discard_output()
        if error.closed_early:
            return Exit.OK
        complain(str(error))
        return Exit.DAMAGED
    except BrokenExecutor:
        complain("a worker process was killed, perhaps for want of memory; --workers 0 reads in this process alone")
        return Exit.DAMAGED
    except MemoryError:
        complain("out of memory")
        return Exit.DAMAGED
    except OSError as error:
        complain(f"{error.filename or 'a file'}: {error.strerror or error}")
        return Exit.DAMAGED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception:  # noqa: BLE001 -- a defect of Deedbox: its place in the code is needed to repair it
        traceback.print_exc()
        complain("this is a defect of Deedbox; please report it with the lines above")
        return Exit.INTERNAL
