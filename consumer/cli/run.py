"""The commands of the service: run, watch, demo, health and config."""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from consumer.cli.command import SERVICE, command
from consumer.cli.parameters import Config, Directory, OnePath, Set, Url
from consumer.cli.printing import print_line, print_unchanged
from consumer.errors import Exit, Fatal


@command(
    "run", SERVICE,
    "run --url amqp://HOST/ --exchange nova --queue archive --dir DIR",
    "run --config deedbox.toml --set batch.linger_s=0.05",
)  # fmt: skip
def run(
    *,
    config: Config = None,
    url: Url = None,
    queue: Annotated[str | None, Parameter(help="Queue to consume. [default: setting broker.queue]")] = None,
    exchange: Annotated[
        str | None, Parameter(help="Exchange to bind the queue to. [default: the queue keeps its bindings]")
    ] = None,
    binding_key: Annotated[
        tuple[str, ...], Parameter(negative=(), help="Routing key of the binding. Repeatable. [default: #]")
    ] = (),
    dir: Directory = None,
    instance: Annotated[
        str | None, Parameter(help="Name of this writer, unique in the directory. [default: the name of the host]")
    ] = None,
    until_empty: Annotated[
        bool,
        Parameter(
            negative=(),
            help="Stop with status 0 when the queue is empty and everything is archived and acknowledged. "
            "Declares and binds nothing: the queue must exist.",
        ),
    ] = False,
    set: Set = (),
) -> int:
    """Consume a queue: archive every delivery durably, then acknowledge it.

    Runs until a signal ends it. SIGTERM and SIGINT commit the batch that is held, return all other deliveries to the broker, and
    seal the archive. SIGHUP seals the archive and continues with a new one.
    """
    from consumer.config import loader

    flags = {
        "broker.url": url, "broker.queue": queue, "broker.exchange": exchange,
        "broker.binding_keys": binding_key or None, "archive.dir": dir, "archive.instance": instance,
    }  # fmt: skip
    loaded = loader.load(config, loader.environment(), flags, list(set))
    import asyncio

    from consumer.service import Service  # imports the AMQP library, which needs a second

    async def serve() -> Exit:
        return await Service(loaded, until_empty).run()

    return logged(loaded.service.log, lambda: asyncio.run(serve()))


def logged(format: str, serve: Callable[[], Exit]) -> Exit:
    """Run a service with its log. A fatal error is a log event."""
    from consumer import log, log_events
    from consumer.config.loader import environment

    colors = sys.stdout.isatty() and not environment().get("NO_COLOR")  # no-color.org
    log.start(console={"json": False, "console": True}.get(format), colors=colors)
    try:
        return serve()
    except Fatal as fatal:
        if fatal.exit is Exit.WRITER:
            traceback.print_exception(fatal)  # a defect: the report of it needs the place in the code
        log.emit(log_events.FAILED, exit=int(fatal.exit), reason=fatal.what, do=fatal.do)
        return fatal.exit
    finally:
        log.flush()


@command(
    "watch", SERVICE,
    "watch /var/log/app.log --exchange logs --state app.state",
    "watch app.log --routing-key archive --from-start",
)  # fmt: skip
def watch(
    files: Annotated[list[OnePath], Parameter(help="Files to watch. A file may appear later.")],
    /,
    *,
    config: Config = None,
    url: Url = None,
    exchange: Annotated[
        str | None, Parameter(help="Exchange to publish to. [default: the default exchange of the broker]")
    ] = None,
    routing_key: Annotated[
        str | None, Parameter(help="Routing key of the messages. Without --exchange: the name of the queue.")
    ] = None,
    state: Annotated[
        str | None,
        Parameter(
            help="File that stores how far each file was published, so that the next start continues there. "
            "[default: none; lines that are written while `watch` does not run are not published]"
        ),
    ] = None,
    from_start: Annotated[
        bool, Parameter(negative=(), help="Publish also the lines that the files already have.")
    ] = False,
    backend: Annotated[
        Literal["inotify", "polling"] | None,
        Parameter(help="How changes are detected. [default: inotify if it is available]"),
    ] = None,
    set: Set = (),
) -> int:
    """Publish new lines of files, each confirmed by the broker.

    Follows rotation, truncation and renames. SIGTERM and SIGINT end it after the batch that is being published.
    """
    from consumer.config import loader

    flags = {
        "broker.url": url, "watch.exchange": exchange, "watch.routing_key": routing_key, "watch.state": state,
        "watch.from_start": from_start or None, "watch.backend": backend,
    }  # fmt: skip
    loaded = loader.load(config, loader.environment(), flags, list(set))
    if not (loaded.watch.exchange or loaded.watch.routing_key):
        what = "neither an exchange nor a routing key is named"
        raise Fatal(Exit.SETTINGS, what, "use --exchange, or --routing-key with the name of a queue, or both")
    from consumer.forward.forward import watch_files

    return logged(loaded.service.log, lambda: watch_files(files, loaded.watch, loaded.topology, loaded.service.drain_s))


@command("demo", SERVICE, "demo", "demo --events 1000 --keep DIR")
def demo(
    *,
    events: Annotated[int, Parameter(help="Number of events to publish.")] = 20_000,
    keep: Annotated[
        Path | None,
        Parameter(
            help="Keep the archives in this directory, which must be new or empty. [default: a temporary directory]"
        ),
    ] = None,
) -> int:
    """Try it out: archive events, kill the service, recover, verify and search.

    Starts a private RabbitMQ, or uses the broker of DEEDBOX_BROKER__URL. Takes about half a minute.
    """
    from consumer.config.loader import environment
    from consumer.demo.show import show

    return show(events, keep, environment())


@command("health", SERVICE, "health --dir DIR", "health --config deedbox.toml --instance a1")
def health(
    *,
    config: Config = None,
    dir: Directory = None,
    instance: Annotated[str | None, Parameter(help="Name of the writer. [default: the name of the host]")] = None,
    set: Set = (),
) -> int:
    """Check that the service makes progress.

    Prints the state of the service, and the reason if it makes no progress. Exit status 1 if it makes none. Use it as a probe
    of systemd, a container or Kubernetes, with the directory and the instance of `run`.
    """
    from consumer.config import loader
    from consumer.health import Instant, health_path, judge

    flags = {"archive.dir": dir, "archive.instance": instance}
    loaded = loader.load(config, loader.environment(), flags, list(set))
    healthy, report = judge(health_path(Path(loaded.archive.dir), loaded.instance), Instant.now())
    print_line(report)
    return Exit.OK if healthy else Exit.DAMAGED


@command("config", SERVICE, "config > deedbox.toml", "config --config deedbox.toml --set batch.count=500")
def show_config(*, config: Config = None, set: Set = ()) -> int:
    """Print the settings in force as a TOML file, with a comment for each.

    `deedbox run --config` accepts the file. Passwords are not printed. A later source of a setting wins: the default, the TOML
    file, environment variables, options.
    """
    from consumer.config import loader
    from consumer.config.render import render

    print_unchanged(render(loader.load(config, loader.environment(), {}, list(set))).removesuffix("\n"))
    return Exit.OK
