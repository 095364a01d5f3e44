"""`deedbox run` as a process, against a real RabbitMQ."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from codec.amqp import Field, encode_header
from consumer import log, service
from consumer.archive.checking.verify import verify
from consumer.archive.naming import SEQUENCE_MAX
from consumer.archive.writing.instance_lock import InstanceLock
from consumer.config.loader import load
from consumer.disk.durable import is_held
from consumer.errors import Exit, Fatal
from consumer.health import Health
from consumer.log import LogEvent
from tests.support import archives
from tests.support.messages import ODD_TEXTS, nested
from tests.support.nodes import BODY_BYTES_MAX
from tests.support.process import Deedbox, full_pipe
from tests.support.wire import FRAME_MAX, WirePublisher


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def deedbox(url: str, name: str, directory: Path) -> Iterator[Deedbox]:
    arguments = ("--url", url, "--queue", name, "--exchange", name, "--instance", "one")
    with Deedbox(directory, *arguments) as running:
        running.wait_for("consuming")
        yield running


def publish(publisher: WirePublisher, exchange: str, bodies: list[bytes], header: bytes = b"\0\0") -> None:
    for body in bodies:
        publisher.publish(exchange.encode(), b"a.b", header, body)
    publisher.wait_for_confirms()


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "consumer", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=os.environ | environ)


def test_the_service_starts_although_a_file_has_a_sequence_that_is_too_large(
    url: str, name: str, publisher: WirePublisher, directory: Path
) -> None:
    directory.mkdir()
    foreign = [directory / f"one-{number}.kvp.zst.open" for number in (99999999999999999999, 2**64 - 1, 2**64, 2**63)]
    for path in foreign:
        path.touch()
    (directory / "one.ledger").write_bytes(b'{"sequence":99999999999999999999}')
    arguments = ("--url", url, "--queue", name, "--exchange", name, "--instance", "one")
    with Deedbox(directory, *arguments) as running:
        running.wait_for("consuming")
        publish(publisher, name, [b"1"])
        running.wait_until(lambda: archives.count(directory) == 1, "archived")
        assert running.stop() == 0
    assert all(path.exists() for path in foreign)
    (path,) = directory.rglob("*.kvp.zst")
    assert path.name.endswith("-one-00000001.kvp.zst")


def test_a_file_with_the_last_sequence_is_a_clear_error(directory: Path) -> None:
    directory.mkdir()
    (directory / f"one-{SEQUENCE_MAX}.kvp.zst.open").write_bytes(b"x")
    done = run("run", "--url", "amqp://127.0.0.1:1/", "--queue", "q", "--dir", str(directory), "--instance", "one")
    assert done.returncode == Exit.DIRECTORY
    assert "a file has the last sequence that instance 'one' can have" in done.stdout + done.stderr


def test_sigterm_commits_the_held_deliveries_and_seals(
    deedbox: Deedbox, publisher: WirePublisher, name: str, directory: Path
) -> None:
    publish(publisher, name, [b"%d" % n for n in range(100)])
    deedbox.wait_until(lambda: archives.count(directory) == 100, "100 archived")
    assert deedbox.stop() == 0
    assert [event.body for event in archives.events(directory)] == [b"%d" % n for n in range(100)]
    assert [(verdict.state, verdict.faults) for verdict in verify([directory])] == [("sealed", [])]
    assert [line["event"] for line in deedbox.lines()][-3:] == ["draining", "archive_sealed", "stopped"]


def test_sigint_stops_as_sigterm_does(deedbox: Deedbox) -> None:
    assert deedbox.stop(signal.SIGINT) == 0


def test_sighup_seals_and_the_service_continues(
    deedbox: Deedbox, publisher: WirePublisher, name: str, directory: Path
) -> None:
    for number in (1, 2):
        publish(publisher, name, [b"x"])
        deedbox.wait_until(lambda number=number: archives.count(directory) == number, "archived")
        assert deedbox.process is not None
        deedbox.process.send_signal(signal.SIGHUP)
        assert deedbox.wait_for("archive_sealed", number)["reason"] == "signal"
    assert deedbox.stop() == 0
    assert len(list(verify([directory]))) == 2


def test_health_reports_the_last_known_state(
    deedbox: Deedbox, publisher: WirePublisher, name: str, directory: Path
) -> None:
    publish(publisher, name, [b"x"])
    command = ("health", "--dir", str(directory), "--instance", "one")
    deedbox.wait_until(lambda: "1 archived" in run(*command).stdout, "a health file with the event")
    done = run(*command)
    assert (done.returncode, done.stdout.startswith("consuming, 1 archived, 0 held")) == (0, True)


ODD_BODIES = [
    b"",
    b"\x00\xff\x00\xfe",
    b"plain",
    b'{"event_type": "not json',
    b"\xed\xa0\x80",
    b"x" * 300_000,
    '"\\\n😀'.encode() * 5000,
]


def test_odd_messages_are_archived_exactly(
    deedbox: Deedbox, publisher: WirePublisher, name: str, directory: Path
) -> None:
    """Empty, binary, without properties, with nested headers, with odd names: every byte is archived."""
    odd = [
        encode_header({"message_id": text, "type": text, "headers": (("n", Field("F", nested(20))),)})
        for text in ODD_TEXTS
    ]
    sent = [(header, body) for header in [b"\0\0", *odd] for body in ODD_BODIES]
    for header, body in sent:
        publisher.publish(name.encode(), b"|%\n\0\xff", header, body)
    publisher.wait_for_confirms()
    deedbox.wait_until(lambda: archives.count(directory) == len(sent), "all archived")
    assert deedbox.stop() == 0
    found = archives.events(directory)
    assert [(event.header, event.body) for event in found] == sent
    assert {event.routing_key for event in found} == {"|%\n\0\udcff"}


def test_two_messages_with_one_id_are_two(
    deedbox: Deedbox, publisher: WirePublisher, name: str, directory: Path
) -> None:
    header = encode_header({"message_id": "same"})
    publish(publisher, name, [b"one", b"two", b"two"], header)
    deedbox.wait_until(lambda: archives.count(directory) == 3, "three archived")
    assert [event.body for event in archives.events(directory)] == [b"one", b"two", b"two"]


def test_the_largest_body_and_header_that_the_broker_takes(
    deedbox: Deedbox, publisher: WirePublisher, name: str, directory: Path
) -> None:
    """The fixture sets the limit of a body to the default of RabbitMQ 3. The limit of a header is one frame."""
    body = b"\xff\x00largest" * (BODY_BYTES_MAX // 9 + 1)
    body = body[:BODY_BYTES_MAX]
    room = FRAME_MAX - 8 - 12 - 2 - 4 - len(b"\x01kS\0\0\0\0")
    header = encode_header({"headers": (("k", Field("S", b"h" * room)),)})
    publish(publisher, name, [body], header)
    deedbox.wait_until(lambda: archives.count(directory) == 1, "archived")
    assert deedbox.stop() == 0
    (event,) = archives.events(directory)
    assert event.header == header
    assert event.body == body


def test_the_reader_of_the_log_may_stop_reading(url: str, name: str, directory: Path, publisher: WirePublisher) -> None:
    """A full pipe stopped the service, or kept it from ending. Now only the log thread waits for the reader."""
    command = [sys.executable, "-m", "consumer", "run", "--url", url, "--queue", name, "--exchange", name, "--dir", str(directory),
               "--set", "service.stats_s=0.1", "--set", "service.log=json", "--set", "broker.declare=all"]  # fmt: skip
    read, write = full_pipe()
    process = subprocess.Popen(command, stdout=write, stderr=subprocess.DEVNULL)
    os.close(write)
    deadline = time.monotonic() + 30
    while archives.count(directory) < 500 and time.monotonic() < deadline:
        publish_when_declared(publisher, name)
        time.sleep(0.1)
    process.terminate()
    assert process.wait(30) == 0
    os.close(read)
    assert archives.count(directory) >= 500


async def test_a_look_at_the_disk_at_the_end_does_not_miss_the_deadline(
    url: str, name: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clean stop had status 18, because the health file was being written at that moment."""
    looking = asyncio.Event()

    async def slow_write(_health: Health, state: dict[str, object]) -> None:
        looking.set()
        await asyncio.sleep(0.5)

    def leave(exit: Exit) -> None:
        raise AssertionError(f"left with {exit!r}")

    monkeypatch.setattr(Health, "write", slow_write)
    monkeypatch.setattr(service, "leave_now", leave)
    monkeypatch.setattr(service, "_reduce_garbage_collection", lambda: None)
    flags = {"broker.url": url, "broker.queue": name, "broker.exchange": name, "archive.dir": str(directory)}
    running = service.Service(load(None, {}, flags, ["service.stats_s=0.1", "broker.declare=all"]))
    ending = asyncio.create_task(running.run())
    await asyncio.wait_for(looking.wait(), 30)
    signal.raise_signal(signal.SIGTERM)
    assert await ending is Exit.OK


async def test_a_stage_that_fails_ends_the_service_after_a_drain(
    url: str, name: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    consuming, lines = asyncio.Event(), list[tuple[str, dict[str, object]]]()

    def emit(event: LogEvent, **fields: object) -> None:
        lines.append((event.name, fields))
        if event.name == "consuming":
            consuming.set()

    async def fail(_lock: InstanceLock) -> None:
        await consuming.wait()
        raise Fatal(Exit.DIRECTORY, "the directory is gone", "put it back")

    monkeypatch.setattr(log, "emit", emit)
    monkeypatch.setattr(service, "_recover_orphans", fail)
    monkeypatch.setattr(service, "_reduce_garbage_collection", lambda: None)
    flags = {"broker.url": url, "broker.queue": name, "broker.exchange": name, "archive.dir": str(directory)}
    with pytest.raises(Fatal, match="the directory is gone"):
        await service.Service(load(None, {}, flags, ["broker.declare=all"])).run()
    assert [event for event, _ in lines][-3:] == ["failed", "draining", "stopped"]
    failed = next(fields for event, fields in lines if event == "failed")
    assert (failed["exit"], failed["do"]) == (Exit.DIRECTORY, "put it back")


def publish_when_declared(publisher: WirePublisher, name: str) -> None:
    if publisher.published:
        return
    publisher.declare_exchange(name)
    publisher.declare(name, arguments=b"\x0cx-queue-typeS\0\0\0\x06quorum")
    publisher.bind(name, name, b"#")
    publish(publisher, name, [b"%d" % n for n in range(500)])


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_sigterm_while_connecting_does_not_wait_for_the_broker(silent: int, directory: Path) -> None:
    with Deedbox(directory, "--url", f"amqp://guest:guest@127.0.0.1:{silent}/") as deedbox:
        deedbox.wait_for("connecting")
        began = time.monotonic()
        assert deedbox.stop() == 0
        assert time.monotonic() - began < 10


def test_the_service_waits_for_a_broker_that_does_not_run_yet(directory: Path) -> None:
    with Deedbox(directory, "--url", "amqp://guest:guest@127.0.0.1:1/") as deedbox:
        deedbox.wait_for("connecting", 2)
        assert "Connect call failed" in str(deedbox.wait_for("connect_failed")["reason"])
        assert deedbox.stop() == 0


def wrong(url: str, name: str, directory: Path) -> dict[str, tuple[list[str], Exit, str]]:
    """Arguments, exit status, and a part of the one line that is printed."""
    good = ["--url", url, "--queue", name, "--exchange", name, "--dir", str(directory)]
    return {
        "password": ([*good, "--url", url.replace("guest:guest", "guest:wrong")], Exit.ACCESS, "check user and password"),
        "vhost": ([*good, "--url", url + "nowhere"], Exit.VHOST, "no virtual host 'nowhere'"),
        "queue arguments": ([*good, "--set", "broker.queue_type=classic"], Exit.QUEUE, "x-queue-type"),
        "exchange type": ([*good, "--set", "broker.exchange_type=fanout", "--set", "broker.declare=all"], Exit.EXCHANGE, "current is 'topic'"),
        "nothing declared": (["--url", url, "--queue", f"{name}-none", "--set", "broker.declare=none", "--dir", str(directory)], Exit.MISSING, "does not exist"),
        "queue name": ([*good, "--queue", "é"], Exit.SETTINGS, "check its name"),
        "directory": ([*good, "--dir", "/proc/deedbox"], Exit.DIRECTORY, "set archive.dir"),
        "setting": ([*good, "--set", "broker.quee=x"], Exit.SETTINGS, "did you mean 'broker.queue'?"),
        "value": ([*good, "--set", "batch.count=many"], Exit.SETTINGS, "batch.count: expected a whole number"),
        "url": ([*good, "--url", "http://host/"], Exit.SETTINGS, "broker.url: expected amqp://"),
        "port": ([*good, "--url", "amqp://host:99999/"], Exit.SETTINGS, "broker.url: expected amqp://"),
    }  # fmt: skip


CASES = [
    "password",
    "vhost",
    "queue arguments",
    "exchange type",
    "nothing declared",
    "queue name",
    "directory",
    "setting",
    "value",
    "url",
    "port",
]


@pytest.mark.parametrize("case", CASES)
def test_an_error_that_the_operator_must_correct_is_one_line_with_its_own_status(
    deedbox: Deedbox, url: str, name: str, tmp_path: Path, case: str
) -> None:
    arguments, status, message = wrong(url, name, tmp_path / "other")[case]
    done = run("run", *_last_of_each(arguments), "--set", "service.log=json")
    lines = [
        line
        for line in (done.stdout + done.stderr).splitlines()
        if '"level":"info"' not in line and '"library"' not in line
    ]
    assert done.returncode == status
    assert len(lines) == 1, lines
    assert message in lines[0]
    assert "Traceback" not in done.stdout + done.stderr
    assert "wrong" not in done.stdout + done.stderr


def _last_of_each(arguments: list[str]) -> list[str]:
    """Of an option that is given twice, the later one."""
    found: list[tuple[str, str]] = list(zip(arguments[::2], arguments[1::2], strict=True))
    single = {option: value for option, value in found if option != "--set"}
    return [part for pair in [*single.items(), *[pair for pair in found if pair[0] == "--set"]] for part in pair]


def test_a_second_process_of_one_instance_is_refused(deedbox: Deedbox, url: str, name: str, directory: Path) -> None:
    done = run(
        "run", "--url", url, "--queue", name, "--dir", str(directory), "--instance", "one", "--set", "service.log=json"
    )
    assert done.returncode == Exit.INSTANCE
    assert "belongs to another process" in done.stdout


def test_a_wrong_password_does_not_reduce_the_prefetch_of_the_next_start(url: str, name: str, directory: Path) -> None:
    arguments = ("--queue", name, "--dir", str(directory), "--instance", "one")
    for _ in range(3):
        assert run("run", "--url", url.replace("guest:guest", "guest:wrong"), *arguments).returncode == Exit.ACCESS
    with Deedbox(directory, "--url", url, "--queue", name, "--instance", "one") as deedbox:
        assert deedbox.wait_for("started")["unclean"] == 0
        assert deedbox.wait_for("consuming")["prefetch"] == 4000


def test_each_run_that_is_killed_without_a_commit_reduces_the_prefetch(url: str, name: str, directory: Path) -> None:
    """A crash returns every unacknowledged message, and a quorum queue counts the returns."""
    with Deedbox(directory, "--url", url, "--queue", name, "--instance", "one") as deedbox:
        for run_number, prefetch in enumerate([4000, 1000, 250], 1):
            assert deedbox.wait_for("consuming", run_number)["prefetch"] == prefetch
            deedbox.kill()
            deedbox.start()


def test_an_exchange_with_a_misspelled_name_is_an_error_and_is_not_created(
    url: str, name: str, directory: Path, publisher: WirePublisher
) -> None:
    publisher.declare_exchange(name)
    arguments = ("--url", url, "--queue", name, "--dir", str(directory), "--set", "service.log=json")
    done = run("run", *arguments, "--exchange", name + "x")
    assert (done.returncode, f"exchange '{name}x' does not exist" in done.stdout) == (Exit.MISSING, True)
    assert "broker.declare" in done.stdout
    with Deedbox(
        directory, "--url", url, "--queue", name, "--exchange", name, "--set", "broker.declare=queue"
    ) as deedbox:
        declared = deedbox.wait_for("declared")
        assert (declared["created"], declared["exchange"], declared["bindings"]) == (["queue"], name, ["#"])


def test_the_log_has_the_created_objects_and_an_unexpected_binding(
    deedbox: Deedbox, url: str, name: str, publisher: WirePublisher
) -> None:
    assert deedbox.lines("declared")[0]["created"] == ["exchange", "queue"]
    assert deedbox.stop() == 0
    arguments = ("--url", url, "--queue", name, "--exchange", name, "--instance", "two", "--set", "broker.watchdog_s=1")
    with Deedbox(deedbox.directory, *arguments, "--binding-key", "wanted.#") as other:
        other.wait_until(lambda: len(other.lines("declared")) == 2, "declared again")
        declared = other.lines("declared")[1]
        assert (declared["created"], declared["bindings"]) == ([], ["wanted.#"])
        waited = other.wait_for("nothing_delivered")
        assert (waited["queue"], waited["bindings"]) == (name, ["wanted.#"])
        publish(publisher, name, [b"x"])
        assert other.wait_for("unexpected_binding")["routing_key"] == "a.b"


def test_after_a_clean_stop_health_reports_stopped(deedbox: Deedbox, directory: Path) -> None:
    command = ("health", "--dir", str(directory), "--instance", "one")
    deedbox.wait_until(lambda: run(*command).returncode == 0, "well")
    assert deedbox.stop() == 0
    done = run(*command)
    assert (done.returncode, done.stdout.startswith("stopped, 0 archived")) == (1, True)


def test_sighup_during_recovery_does_not_end_the_service(url: str, name: str, directory: Path) -> None:
    lock = directory / "one.lock"
    arguments = ("--url", url, "--queue", name, "--instance", "one")
    with Deedbox(directory, *arguments, altered="slow_recovery") as deedbox:
        deedbox.wait_until(lambda: lock.exists() and is_held(lock), "recovering")
        assert deedbox.process is not None
        deedbox.process.send_signal(signal.SIGHUP)
        deedbox.wait_for("consuming")
        assert deedbox.stop() == 0


def test_only_the_writer_thread_uses_the_state_of_the_archive_log(
    url: str, name: str, publisher: WirePublisher, directory: Path
) -> None:
    """The event loop read it while the writer thread changed it."""
    arguments = (
        "--url",
        url,
        "--queue",
        name,
        "--exchange",
        name,
        "--set",
        "service.stats_s=0.1",
        "--set",
        "roll.age_s=0.3",
    )
    with Deedbox(directory, *arguments, altered="archive_log_of_one_thread") as deedbox:
        deedbox.wait_for("consuming")
        for count in range(1, 4):
            publish(publisher, name, [b"x"] * 10)
            deedbox.wait_for("archive_sealed", count)  # by age
            assert deedbox.process is not None
            deedbox.process.send_signal(signal.SIGHUP)
        deedbox.wait_for("stats", len(deedbox.lines("stats")) + 2)
        assert deedbox.stop() == 0
    assert archives.count(directory) == 30


def test_a_broker_that_does_not_answer_the_cancel_does_not_delay_the_drain(
    url: str, name: str, directory: Path
) -> None:
    arguments = ("--url", url, "--queue", name, "--set", "service.drain_s=0.5")
    with Deedbox(directory, *arguments, altered="cancel_that_hangs") as deedbox:
        deedbox.wait_for("consuming")
        assert deedbox.stop() == Exit.DEADLINE
        assert [line["event"] for line in deedbox.lines()][-3:] == ["draining", "drain_deadline", "stopped"]


SIGHUP_AFTER_THE_END = """
import asyncio, os, signal, sys
from consumer.config.loader import load
from consumer.service import Service

async def serve():
    asyncio.get_running_loop().call_later(1, os.kill, os.getpid(), signal.SIGTERM)
    return await Service(load(None, {}, {"broker.url": "amqp://127.0.0.1:1/", "archive.dir": sys.argv[1]}, [])).run()

status = asyncio.run(serve())
os.kill(os.getpid(), signal.SIGHUP)
sys.exit(status)
"""


def test_sighup_between_the_last_line_and_the_end_does_not_change_the_status(directory: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SIGHUP_AFTER_THE_END, directory], check=False, timeout=60)
    assert done.returncode == Exit.OK
