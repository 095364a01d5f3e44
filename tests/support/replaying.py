"""A queue behind an exchange, and what is in it as events: read with `deedbox run --until-empty`."""

from pathlib import Path

from codec.event import Event
from tests.support.archives import events
from tests.support.command_line import deedbox
from tests.support.wire import WirePublisher


def bound_queue(publisher: WirePublisher, name: str, kind: str = "fanout", arguments: bytes = b"") -> str:
    """A queue of this name behind an exchange of the same name."""
    publisher.declare_exchange(name, kind)
    publisher.declare(name, arguments)
    publisher.bind(name, name, b"#")
    return name


def drained(url: str, queue: str, directory: Path) -> list[Event]:
    """What is in the queue, in its order, archived in the directory. The queue is empty afterwards."""
    done = deedbox("run", "--url", url, "--queue", queue, "--dir", directory, "--set", "broker.declare=none", "--until-empty")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return events(directory)
