import gzip
import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codec import jsonl
from codec.amqp import encode_header
from codec.event import Event
from codec.foreign.imported import imported_event
from consumer.convert.exports import WRITERS, export
from consumer.convert.formats import FileFormat
from consumer.convert.imports import events_of
from consumer.disk.durable import Disk
from consumer.ingest.dedupe import fingerprint
from consumer.query.query import make_query
from consumer.query.search import Found, Search
from tests.codec.strategies import events as any_events
from tests.support.archive_logs import START_US, archive_log, event

HEADER = encode_header({"content_type": "application/json", "message_id": "m"})


def found(*events: Event) -> Iterator[Found]:
    return (Found(one, f"one-00000001:0:{index}") for index, one in enumerate(events))


@pytest.mark.parametrize("format", ["shoebox", "jsonl"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(any_events, max_size=5))
def test_formats_that_hold_whole_events_give_the_same_events_back(
    tmp_path_factory: pytest.TempPathFactory, format: str, events: list[Event]
) -> None:
    out = tmp_path_factory.mktemp("out")
    report = export(Disk(), found(*events), format, out)
    assert (report.events, report.left_out, dict(report.unsupported)) == (len(events), 0, {})
    (path,) = report.files
    assert list(events_of(path, format)) == events


def test_an_imported_event_keeps_its_metadata(tmp_path: Path) -> None:
    one = imported_event(b"x", id="i", type="t", time_us=START_US, headers=[("key", "value")])
    export(Disk(), found(one), FileFormat.SHOEBOX, tmp_path)
    assert b"keyvalue" in (tmp_path / "events.shoebox").read_bytes()


def test_shoebox_json_is_named_after_its_content_and_reports_lost_fields(tmp_path: Path) -> None:
    """shoebox splits a record at a line feed in its payload."""
    events = [event(1), event(2)._replace(body=b'{\n "a": "\xc3\xa9"\n}'), event(3)._replace(body=b"two\nlines")]
    report = export(Disk(), found(*events), FileFormat.SHOEBOX_JSON, tmp_path)
    (path,) = report.files
    content = gzip.decompress(path.read_bytes())
    assert content == event(1).body + b'\n{ "a": "\xc3\xa9"}\n'
    assert path.name == f"events_{hashlib.sha256(content).hexdigest()}.json.gz"
    assert (report.events, report.left_out) == (2, 1)
    assert report.unsupported["a body of several lines"] == 1


def test_shoebox_json_holds_only_bodies_that_an_import_accepts(tmp_path: Path) -> None:
    """Other bodies were once written without a report, and every reader reported their lines as damage."""
    bodies = (b"text", b"\xff", b'{"a":1', b'{"a":NaN}', b"7", b'{"a":1}')
    report = export(
        Disk(), found(*(event(1)._replace(body=body) for body in bodies)), FileFormat.SHOEBOX_JSON, tmp_path
    )
    assert (report.events, report.left_out, report.unsupported["a body that is not JSON"]) == (3, 3, 3)
    back = [one.body for one in events_of(report.files[0], FileFormat.SHOEBOX) if isinstance(one, Event)]
    assert back == [b'{"a":NaN}', b"7", b'{"a":1}']


@pytest.mark.parametrize("format", ["theia", "shoebox-json"])
def test_an_export_reports_lost_flags(tmp_path: Path, format: str) -> None:
    report = export(Disk(), found(event(1)._replace(redelivered=True), event(2)), format, tmp_path)
    assert report.unsupported["redelivered and duplicate flags"] == 1


lone = st.text(st.characters(categories=["Cs"]) | st.sampled_from("a|\n"), max_size=5)
lone_events = st.builds(Event, lone, lone, st.just(START_US), st.just(START_US), lone, lone, st.just(b"\0\0"), st.binary(max_size=5), duplicate=st.just(""),
                        tags=st.lists(lone, max_size=2).map(tuple))  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=st.lists(lone_events, min_size=1, max_size=20))
def test_text_that_an_import_accepts_survives_archive_fingerprint_search_and_export(
    tmp_path_factory: pytest.TempPathFactory, written: list[Event]
) -> None:
    """A lone surrogate outside of U+DC80 to U+DCFF made every start fail, once it was archived."""
    place = tmp_path_factory.mktemp("place")
    lines = [jsonl.encode(one, "x", exact=True) for one in written]
    (place / "lines").write_bytes(b"".join(lines))
    accepted = [one for one in events_of(place / "lines", FileFormat.JSONL) if isinstance(one, Event)]
    archives = archive_log(place / "archives")
    archives.append(accepted)
    archives.roll("test")
    archived = [one.event for one in Search([place / "archives"])]
    assert Counter(archived) == Counter(accepted)
    assert Counter(map(fingerprint, archived)) == Counter(map(fingerprint, accepted))
    wanted = make_query(ids=[accepted[0].id], tags=accepted[0].tags)
    assert accepted[0] in [one.event for one in Search([place / "archives"], wanted)]
    for format in WRITERS:
        report = export(Disk(), Search([place / "archives"]), format, place / format)
        assert report.events + report.left_out == len(accepted)


def test_a_line_that_an_import_refuses_is_not_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("lines", "exports"):
        monkeypatch.setattr(f"consumer.convert.{module}.LINE_BYTES_MAX", 5000)
    events = [event(1), event(2, size=5000), event(3, size=4000)]
    report = export(Disk(), found(*events), FileFormat.JSONL, tmp_path)
    assert (report.events, report.left_out) == (2, 1)
    assert list(events_of(report.files[0], FileFormat.JSONL)) == [event(1), event(3, size=4000)]
