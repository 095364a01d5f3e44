from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from codec.amqp import encode_header
from codec.event import Event
from codec.foreign.imported import imported_event
from consumer.convert.exports import export
from consumer.convert.formats import FileFormat
from consumer.convert.imports import events_of
from consumer.disk.durable import Disk
from consumer.query.search import Found
from tests.support.archive_logs import START_US, event

HEADER = encode_header({"content_type": "application/json", "message_id": "m"})


def found(*events: Event) -> Iterator[Found]:
    return (Found(one, f"one-00000001:0:{index}") for index, one in enumerate(events))


def test_cloud_init_pools_hold_any_body(tmp_path: Path) -> None:
    events = [
        event(1)._replace(header=HEADER), event(2)._replace(body=bytes(range(256)) * 9), event(3, size=5000),
        imported_event(b"d", id="i", type="finish", time_us=START_US, headers=[("name", "modules"), ("result", "WARN")]),
    ]  # fmt: skip
    report = export(Disk(), found(*events), FileFormat.CLOUDINIT, tmp_path)
    assert (report.events, report.left_out) == (4, 0)
    assert report.unsupported["the type of an event whose body is not UTF-8"] == 1
    back = list(events_of(report.files[0], FileFormat.CLOUDINIT))
    assert [one.body for one in back] == [one.body for one in events]
    assert [one.type for one in back] == ["type.1", "compressed", "type.0", "finish"]
    assert len({one.id for one in back}) == 4


def test_only_what_an_event_has_is_reported_as_missing(tmp_path: Path) -> None:
    """Tags were named although no event had one; headers and the arrival time were not named."""
    late = event(1)._replace(arrived_us=START_US + 10)
    report = export(Disk(), found(late, event(2)), FileFormat.CLOUDINIT, tmp_path)
    missing = {name: count for name, count in report.unsupported.items() if count}
    assert missing == {"exchange, properties and headers": 2, "id": 2, "arrival time": 1}


def test_headers_replace_no_member_of_cloud_init_and_keys_are_unique(tmp_path: Path) -> None:
    headers = [("msg", "forged"), ("type", "forged"), ("key", "a|b|c|d|e")]
    one = imported_event(b"body", id="", type="t", time_us=START_US, headers=headers)
    report = export(Disk(), found(one, one), FileFormat.CLOUDINIT, tmp_path)
    assert report.unsupported["headers"] == 2
    back = list(events_of(report.files[0], FileFormat.CLOUDINIT))
    assert [(event.body, event.type) for event in back] == [(b"body", "t")] * 2
    assert len({event.id for event in back}) == 2


def test_cloud_init_values_keep_their_json_types_and_plain_pairs_stay_plain(tmp_path: Path) -> None:
    events = [
        imported_event(b"d", id="i", type="finish", time_us=START_US, headers=[("name", "n"), ("duration", "0.5")]),
        imported_event(
            b"result=success",
            id="PROVISIONING_REPORT",
            type="",
            time_us=START_US,
            headers=[("key", "PROVISIONING_REPORT")],
        ),
        imported_event(b"log", id="c", type="compressed", time_us=START_US, headers=[("name", "n")]),
    ]
    report = export(Disk(), found(*events), FileFormat.CLOUDINIT, tmp_path)
    raw = report.files[0].read_bytes()
    assert b'"duration":0.5' in raw
    assert raw[2560:].startswith(b"PROVISIONING_REPORT\0")
    assert b"gz+b64" in raw
    assert [one.body for one in events_of(report.files[0], FileFormat.CLOUDINIT)] == [b"d", b"result=success", b"log"]


@pytest.mark.parametrize("text", ["a\udcff", "\ud800", "é" * 300, "\U0001f600" * 300, "a|b"])
def test_an_id_that_is_not_utf_8_does_not_end_an_export_to_cloud_init(tmp_path: Path, text: str) -> None:
    events = [event(1)._replace(id=text, type=text, routing_key=text), event(2)]
    report = export(Disk(), found(*events), FileFormat.CLOUDINIT, tmp_path)
    assert report.events + report.left_out == 2
    assert event(2).body in [
        one.body for one in events_of(report.files[0], FileFormat.CLOUDINIT) if isinstance(one, Event)
    ]


def test_an_export_to_cloud_init_reports_lost_ids_and_flags(tmp_path: Path) -> None:
    marked = event(1)._replace(redelivered=True, duplicate="a1-00000007:41")
    kept = imported_event(b"d", id="f2e6db6f-b151-4d06-8f46-023002f8df53", type="start", time_us=START_US, headers=[
        ("key", "CLOUD_INIT|1|start|n|f2e6db6f-b151-4d06-8f46-023002f8df53"), ("name", "n"),
    ])  # fmt: skip
    report = export(Disk(), found(marked, kept), FileFormat.CLOUDINIT, tmp_path)
    assert (report.unsupported["id"], report.unsupported["redelivered and duplicate flags"]) == (1, 1)


@pytest.mark.parametrize("value", ["nan", "inf", "-Infinity", "1_0", "1e999", "0x1", " 1", "01"])
def test_cloud_init_values_hold_only_numbers_that_are_json(tmp_path: Path, value: str) -> None:
    headers = [("name", "n"), ("duration", value)]
    one = imported_event(b"d", id="i", type="finish", time_us=START_US, headers=headers)
    report = export(Disk(), found(one), FileFormat.CLOUDINIT, tmp_path)
    record = report.files[0].read_bytes()[512:].rstrip(b"\0")
    assert orjson.loads(record)["duration"] == value
