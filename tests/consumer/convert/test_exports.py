import gzip
import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codec import jsonl
from codec.amqp import encode_header
from codec.event import Event
from codec.foreign import theia
from codec.foreign.imported import imported_event
from consumer.convert.exports import WRITERS, export
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
def test_what_holds_everything_gives_the_same_events_back(
    tmp_path_factory: pytest.TempPathFactory, format: str, events: list[Event]
) -> None:
    out = tmp_path_factory.mktemp("out")
    report = export(Disk(), found(*events), format, out)
    assert (report.events, report.left_out, dict(report.unsupported)) == (len(events), 0, {})
    (path,) = report.files
    assert list(events_of(path, format)) == events


def test_an_imported_event_keeps_its_metadata(tmp_path: Path) -> None:
    one = imported_event(b"x", id="i", type="t", time_us=START_US, headers=[("key", "value")])
    export(Disk(), found(one), "shoebox", tmp_path)
    assert b"keyvalue" in (tmp_path / "events.shoebox").read_bytes()


def test_shoebox_json_is_named_after_its_content_and_says_what_it_cannot_hold(tmp_path: Path) -> None:
    """A line feed in a payload split the record."""
    events = [event(1), event(2)._replace(body=b'{\n "a": "\xc3\xa9"\n}'), event(3)._replace(body=b"two\nlines")]
    report = export(Disk(), found(*events), "shoebox-json", tmp_path)
    (path,) = report.files
    content = gzip.decompress(path.read_bytes())
    assert content == event(1).body + b'\n{ "a": "\xc3\xa9"}\n'
    assert path.name == f"events_{hashlib.sha256(content).hexdigest()}.json.gz"
    assert (report.events, report.left_out) == (2, 1)
    assert report.unsupported["a body of several lines"] == 1


def test_theia_files_hold_a_minute_each_and_are_named_for_its_index(tmp_path: Path) -> None:
    minute = START_US // 60_000_000
    events = [event(n)._replace(time_us=(minute * 60 + 25 * n) * 1_000_000) for n in range(6)]
    report = export(Disk(), found(*events), "theia", tmp_path)
    assert [path.name for path in report.files] == [f"{(minute + n) * 60}-{(minute + n + 1) * 60}" for n in range(3)]
    read = [one for path in report.files for one in theia.decode(path.read_bytes())]
    assert [(one.id, one.content, one.source, one.time_us) for one in read] == [
        (one.id, one.body, "key", one.time_us) for one in events
    ]


def test_theia_is_given_no_line_that_it_would_misread(tmp_path: Path) -> None:
    events = [event(1)._replace(id="a\nid:forged", tags=("x,y",), routing_key="k\n"), event(2)._replace(body=b"\xff")]
    report = export(Disk(), found(*events), "theia", tmp_path)
    assert (report.events, report.left_out) == (1, 1)
    assert {name for name in report.unsupported if report.unsupported[name]} >= {"id", "tags", "source", "content"}
    (one,) = theia.decode(report.files[0].read_bytes())
    assert (one.id, one.tags) == ("a id:forged", ("x y",))


def test_cloud_init_pools_hold_any_body(tmp_path: Path) -> None:
    events = [
        event(1)._replace(header=HEADER), event(2)._replace(body=bytes(range(256)) * 9), event(3, size=5000),
        imported_event(b"d", id="i", type="finish", time_us=START_US, headers=[("name", "modules"), ("result", "WARN")]),
    ]  # fmt: skip
    report = export(Disk(), found(*events), "cloudinit", tmp_path)
    assert (report.events, report.left_out) == (4, 0)
    assert report.unsupported["type of a body that is no text"] == 1
    back = list(events_of(report.files[0], "cloudinit"))
    assert [one.body for one in back] == [one.body for one in events]
    assert [one.type for one in back] == ["type.1", "compressed", "type.0", "finish"]
    assert len({one.id for one in back}) == 4


def test_a_file_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    """Shoebox opened names that clashed for writing: of three files nothing was left."""
    export(Disk(), found(event(1)), "jsonl", tmp_path)
    before = (tmp_path / "events.jsonl").read_bytes()
    with pytest.raises(FileExistsError):
        export(Disk(), found(event(2)), "jsonl", tmp_path)
    assert (tmp_path / "events.jsonl").read_bytes() == before


def test_an_export_that_did_not_end_leaves_no_file_of_the_final_name(tmp_path: Path) -> None:
    """Shoebox wrote gzip straight to the final name, and rsync could take half a file."""

    def dies() -> Iterator[Found]:
        yield from found(event(1))
        raise OSError(5, "gone")

    with pytest.raises(OSError, match="gone"):
        export(Disk(), dies(), "jsonl", tmp_path)
    assert list(tmp_path.iterdir()) == []
    export(Disk(), found(event(1)), "jsonl", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]


def test_an_export_that_is_ended_while_it_makes_its_file_leaves_none(tmp_path: Path) -> None:
    """A signal between the creation and the block that removes the file left it there."""

    class Ended(Disk):
        def create(self, path: Path) -> int:
            super().create(path)
            raise SystemExit(143)

    with pytest.raises(SystemExit):
        export(Ended(), found(event(1)), "jsonl", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_two_exports_at_once_do_not_touch_each_other(tmp_path: Path) -> None:
    def other_begins() -> Iterator[Found]:
        yield from found(event(1))
        export(Disk(), found(event(2)), "jsonl", tmp_path)

    with pytest.raises(FileExistsError):
        export(Disk(), other_begins(), "jsonl", tmp_path)
    assert b"id-2" in (tmp_path / "events.jsonl").read_bytes()
    assert len(list(tmp_path.iterdir())) == 1


def test_headers_do_not_forge_cloud_init_members_and_keys_differ(tmp_path: Path) -> None:
    headers = [("msg", "forged"), ("type", "forged"), ("key", "a|b|c|d|e")]
    one = imported_event(b"body", id="", type="t", time_us=START_US, headers=headers)
    report = export(Disk(), found(one, one), "cloudinit", tmp_path)
    assert report.unsupported["headers"] == 2
    back = list(events_of(report.files[0], "cloudinit"))
    assert [(event.body, event.type) for event in back] == [(b"body", "t")] * 2
    assert len({event.id for event in back}) == 2


def test_shoebox_json_holds_only_bodies_that_an_import_takes(tmp_path: Path) -> None:
    """Other bodies were written without a word, and their lines were damage to every reader."""
    bodies = (b"text", b"\xff", b'{"a":1', b'{"a":NaN}', b"7", b'{"a":1}')
    report = export(Disk(), found(*(event(1)._replace(body=body) for body in bodies)), "shoebox-json", tmp_path)
    assert (report.events, report.left_out, report.unsupported["a body that is not JSON"]) == (3, 3, 3)
    back = [one.body for one in events_of(report.files[0], "shoebox") if isinstance(one, Event)]
    assert back == [b'{"a":NaN}', b"7", b'{"a":1}']


def test_events_before_1970_have_no_file_of_theia(tmp_path: Path) -> None:
    report = export(Disk(), found(event(1)._replace(time_us=-5)), "theia", tmp_path)
    assert (report.left_out, report.files) == (1, [])


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
    report = export(Disk(), found(*events), "cloudinit", tmp_path)
    raw = report.files[0].read_bytes()
    assert b'"duration":0.5' in raw
    assert raw[2560:].startswith(b"PROVISIONING_REPORT\0")
    assert b"gz+b64" in raw
    assert [one.body for one in events_of(report.files[0], "cloudinit")] == [b"d", b"result=success", b"log"]


@pytest.mark.parametrize("text", ["a\udcff", "\ud800", "é" * 300, "\U0001f600" * 300, "a|b"])
def test_an_id_that_is_not_utf_8_does_not_end_an_export_to_cloud_init(tmp_path: Path, text: str) -> None:
    events = [event(1)._replace(id=text, type=text, routing_key=text), event(2)]
    report = export(Disk(), found(*events), "cloudinit", tmp_path)
    assert report.events + report.left_out == 2
    assert event(2).body in [one.body for one in events_of(report.files[0], "cloudinit") if isinstance(one, Event)]


def test_an_export_to_cloud_init_reports_lost_ids_and_flags(tmp_path: Path) -> None:
    marked = event(1)._replace(redelivered=True, duplicate="a1-00000007:41")
    kept = imported_event(b"d", id="f2e6db6f-b151-4d06-8f46-023002f8df53", type="start", time_us=START_US, headers=[
        ("key", "CLOUD_INIT|1|start|n|f2e6db6f-b151-4d06-8f46-023002f8df53"), ("name", "n"),
    ])  # fmt: skip
    report = export(Disk(), found(marked, kept), "cloudinit", tmp_path)
    assert (report.unsupported["id"], report.unsupported["redelivered and duplicate flags"]) == (1, 1)


@pytest.mark.parametrize("format", ["theia", "shoebox-json"])
def test_an_export_reports_lost_flags(tmp_path: Path, format: str) -> None:
    report = export(Disk(), found(event(1)._replace(redelivered=True), event(2)), format, tmp_path)
    assert report.unsupported["redelivered and duplicate flags"] == 1


@pytest.mark.parametrize("value", ["nan", "inf", "-Infinity", "1_0", "1e999", "0x1", " 1", "01"])
def test_cloud_init_is_given_no_number_that_is_not_json(tmp_path: Path, value: str) -> None:
    headers = [("name", "n"), ("duration", value)]
    one = imported_event(b"d", id="i", type="finish", time_us=START_US, headers=headers)
    report = export(Disk(), found(one), "cloudinit", tmp_path)
    record = report.files[0].read_bytes()[512:].rstrip(b"\0")
    assert orjson.loads(record)["duration"] == value


def test_a_header_that_theia_files_cannot_hold_is_left_out_and_counted(tmp_path: Path) -> None:
    report = export(Disk(), found(event(1)._replace(tags=("x" * 70_000,)), event(2)), "theia", tmp_path)
    assert (report.events, report.left_out, report.unsupported["an id, a source and tags that are too long"]) == (
        1,
        1,
        1,
    )
    assert [one.id for one in theia.decode(report.files[0].read_bytes())] == ["id-2"]


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
    accepted = [one for one in events_of(place / "lines", "jsonl") if isinstance(one, Event)]
    archives = archive_log(place / "archives")
    archives.append(accepted)
    archives.roll("test")
    archived = [one.event for one in Search([place / "archives"])]
    assert Counter(archived) == Counter(accepted)
    assert Counter(map(fingerprint, archived)) == Counter(map(fingerprint, accepted))
    wanted = make_query(ids=[accepted[0].id], tags=accepted[0].tags)
    assert accepted[0] in [one.event for one in Search([place / "archives"], wanted)]
    for format in [*WRITERS, "parquet"]:
        report = export(Disk(), Search([place / "archives"]), format, place / format)
        assert report.events + report.left_out == len(accepted)


def test_no_line_is_exported_that_no_import_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("imports", "exports"):
        monkeypatch.setattr(f"consumer.convert.{module}.LINE_BYTES_MAX", 5000)
    events = [event(1), event(2, size=5000), event(3, size=4000)]
    report = export(Disk(), found(*events), "jsonl", tmp_path)
    assert (report.events, report.left_out) == (2, 1)
    assert list(events_of(report.files[0], "jsonl")) == [event(1), event(3, size=4000)]
