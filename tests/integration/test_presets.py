"""Presets as a user runs them: `run` with `archive.describe`, then `search`."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from codec.amqp import Field, encode_header
from codec.event import Event
from consumer.demo.node import Node
from consumer.errors import Exit
from consumer.ingest.presets.describers import describe_by
from tests.support import archives
from tests.support.archive_logs import archive_log
from tests.support.command_line import deedbox, ids
from tests.support.golden_presets import golden
from tests.support.nodes import NewNode
from tests.support.process import Deedbox
from tests.support.wire import WirePublisher

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture(scope="module")
def node(new_node: NewNode) -> Iterator[Node]:
    """A node with the event exchange. Tracing and events are of a whole virtual host, so other tests would disturb these."""
    with new_node(plugins=["rabbitmq_event_exchange"]) as made:
        yield made


def service(node: Node, directory: Path, exchange: str, describe: str) -> Deedbox:
    """The service on a queue of its own, as OPERATIONS.md describes it."""
    return Deedbox(
        directory, "--url", node.url, "--queue", f"queue-{directory.name}", "--exchange", exchange, "--set", "broker.declare=queue",
        "--set", f"archive.describe={describe}", "--instance", directory.name,
    )  # fmt: skip


def found(directory: Path, *arguments: object) -> list[dict[str, object]]:
    """The events that `search` prints."""
    done = deedbox("search", directory, *arguments)
    assert (done.returncode, done.stderr) == (Exit.OK, "")
    return [orjson.loads(line) for line in done.stdout.splitlines()]


def test_the_firehose_is_archived_and_searched_by_the_traced_message(node: Node, tmp_path: Path) -> None:
    """A second service on the same exchange without the preset archives the same deliveries, byte for byte."""
    described, plain = tmp_path / "described", tmp_path / "plain"
    with (
        service(node, described, "amq.rabbitmq.trace", "firehose,otel") as one,
        service(node, plain, "amq.rabbitmq.trace", "amqp") as two,
    ):
        one.wait_for("consuming"), two.wait_for("consuming")
        node.control("trace_on")
        publisher = WirePublisher(node.url)
        publisher.declare_exchange("orders")
        publisher.declare("billing")
        publisher.bind("billing", "orders", b"order.#")
        headers = (("tenant", Field("S", b"acme")), ("traceparent", Field("S", TRACEPARENT.encode())))
        header = encode_header(
            {"message_id": "m-1", "timestamp": 1_763_741_700, "type": "order.placed", "headers": headers}
        )
        publisher.publish(b"orders", b"order.placed.eu", header, b"first")
        publisher.publish(b"orders", b"order.cancelled", b"\0\0", b"second")
        publisher.wait_for_confirms()
        assert publisher.get("billing") == b"first"
        for directory, running in ((described, one), (plain, two)):
            running.wait_until(
                lambda directory=directory: archives.count(directory) >= 3, "two published and one delivered"
            )
        publisher.close()
        node.control("trace_off")
        assert (one.stop(), two.stop()) == (0, 0)
    (published,) = found(described, "--type", "order.placed", "--routing-key", "publish.#")
    assert (published["exchange"], published["routing_key"]) == ("amq.rabbitmq.trace", "publish.orders")
    assert (published["id"], published["time"], published["body"]) == ("m-1", "2025-11-21T16:15:00.000000Z", "first")
    assert published["tags"] == [
        "exchange:orders",
        "key:order.placed.eu",
        "queue:billing",
        "user:guest",
        f"trace:{TRACE}",
    ]
    assert [event["routing_key"] for event in found(described, "--tag", f"trace:{TRACE}")] == [
        "publish.orders",
        "deliver.billing",
    ]
    assert [event["body"] for event in found(described, "--tag", "key:order.cancelled")] == ["second"]
    assert [_delivery(one) for one in archives.events(described)] == [_delivery(one) for one in archives.events(plain)]


def _delivery(event: Event) -> tuple[str, str, bytes, bytes]:
    return event.exchange, event.routing_key, event.header, event.body


def test_the_events_of_the_broker_are_archived_and_searched_by_their_objects(
    node: Node, tmp_path: Path, name: str
) -> None:
    directory = tmp_path / "audit"
    with service(node, directory, "amq.rabbitmq.event", "broker-events") as running:
        running.wait_for("consuming")
        publisher = WirePublisher(node.url)
        publisher.declare(name)
        publisher.delete(name)
        publisher.close()
        node.control("add_user", name, "secret")
        with pytest.raises(ConnectionError):
            WirePublisher(node.url.replace("guest:guest", f"{name}:wrong"))
        running.wait_until(
            lambda: "user.authentication.failure" in {one.type for one in archives.events(directory)}, "the last event"
        )
        assert running.stop() == 0
    events = found(directory, "--type", "queue.*", "--tag", f"queue:{name}", "--tag", "by:guest")
    assert [event["type"] for event in events] == ["queue.created", "queue.deleted"]
    assert all(event["tags"] == [f"queue:{name}", "vhost:/", "by:guest"] for event in events)
    assert all(event["headers"]["timestamp_in_ms"] % 1000 == int(event["time"][20:23]) for event in events)  # type: ignore[index]  # JSON
    assert {event["type"] for event in found(directory, "--tag", f"user:{name}")} == {
        "user.created",
        "user.authentication.failure",
    }


MODULE = """
def describe(delivery, event):
    number = int(delivery.body)
    return event._replace(id=f"n-{number}", type="number", tags=("odd",) if number % 2 else ())

def changes(delivery, event):
    return event._replace(id="changed", body=b"")
"""


def test_a_function_that_fails_or_changes_a_delivery_is_logged_once_and_stops_nothing(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(Path.cwd())]))
    directory = tmp_path / "archive"
    arguments = (
        "--url",
        url,
        "--queue",
        name,
        "--exchange",
        name,
        "--set",
        "archive.describe=shop:describe,shop:changes",
    )
    with Deedbox(directory, *arguments) as running:
        running.wait_for("consuming")
        for body in (b"1", b"two", b"3", b"four", b"6"):
            publisher.publish(name.encode(), b"key", b"\0\0", body)
        publisher.wait_for_confirms()
        running.wait_until(lambda: archives.count(directory) == 5, "all archived")
        assert running.stop() == 0
        lines = running.lines("describer_failed")
    assert [line["describer"] for line in lines] == ["shop:changes", "shop:describe"]
    assert "body was changed" in str(lines[0]["reason"])
    assert re.search(r"ValueError: invalid literal .* \(.*shop\.py, line 3\)", str(lines[1]["reason"]))
    assert [(event.id, event.type, event.body, event.tags) for event in archives.events(directory)] == [
        ("n-1", "number", b"1", ("odd",)), ("", "key", b"two", ()), ("n-3", "number", b"3", ("odd",)), ("", "key", b"four", ()), ("n-6", "number", b"6", ()),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("describe", "what"),
    [
        ("opnstack", "archive.describe: unknown name 'opnstack', expected amqp, openstack, cloudevents, celery, firehose, broker-events, otel or module:function; did you mean 'openstack'?"),
        ("no_such_module:f", "archive.describe: 'no_such_module:f': the module 'no_such_module' cannot be imported: ModuleNotFoundError"),
        ("json:nothing", "archive.describe: 'json:nothing': the module 'json' has no 'nothing'"),
    ],
)  # fmt: skip
def test_a_name_that_cannot_be_used_ends_the_start_with_a_clear_error(describe: str, what: str, tmp_path: Path) -> None:
    done = deedbox("run", "--queue", "q", "--dir", tmp_path / "archive", "--set", f"archive.describe={describe}")
    assert done.returncode == Exit.SETTINGS
    assert what in done.stdout + done.stderr
    assert not (tmp_path / "archive").exists()


def test_config_shows_the_list_and_imports_nothing() -> None:
    done = deedbox("config", "--set", "archive.describe=openstack,no_such_module:f")
    assert done.returncode == Exit.OK
    assert 'describe = ["openstack", "no_such_module:f"]' in done.stdout
    assert '# Default: ["amqp"]' in done.stdout


@pytest.mark.parametrize(
    ("sample", "describe", "type", "tag", "tagged"),
    [
        ("openstack", "openstack", "compute.instance.create.end", None, 0), ("cloudevents", "cloudevents", "com.example.order.*", "source:/shop/eu", 3),
        ("celery", "celery", "task-sent", "event:task-failed", 2), ("firehose-4.0", "firehose", "order.placed", "queue:billing", 4),
        ("broker-events-4.0", "broker-events", "queue.*", "queue:billing", 3), ("otel", "otel", "order.*", "trace:c874359b0ed6b3723a87f6789ddced8b", 2),
    ],
)  # fmt: skip
def test_search_finds_the_samples_by_type_and_tag(
    sample: str, describe: str, type: str, tag: str | None, tagged: int, tmp_path: Path
) -> None:
    events = [describe_by([describe])(one) for one in golden(sample)]
    log = archive_log(tmp_path / "archive")
    log.append(events)
    log.roll("stop")
    assert found(tmp_path / "archive", "--type", type)
    assert tag is None or len(found(tmp_path / "archive", "--tag", tag)) == tagged


def test_a_search_for_a_trace_reads_only_the_batches_that_hold_it(tmp_path: Path) -> None:
    """The tags are in the index, also if there are more of them than a footer counts by name."""
    log = archive_log(tmp_path / "archive")
    describe = describe_by(["otel"])
    base = golden("otel")[0]
    for batch in range(60):
        header = [
            encode_header(
                {
                    "message_id": f"{batch}-{n}",
                    "headers": (("Traceparent", Field("S", b"00-%032x-00f067aa0ba902b7-01" % (batch * 40 + n + 1))),),
                }
            )
            for n in range(40)
        ]
        log.append([describe(base._replace(header=one)) for one in header])
    log.roll("stop")
    done = deedbox("search", tmp_path / "archive", "--tag", f"trace:{40 * 17 + 6:032x}", "--explain")
    assert (done.returncode, ids(done.stdout)) == (Exit.OK, ["17-5"])
    assert ": the index of 1 archive, and 1 batch\n" in done.stderr
