import gzip
import hashlib
import json
import os
import tracemalloc
from pathlib import Path

import pytest

from codec.event import Event, parse_time
from codec.foreign import cloudinit, shoebox
from codec.foreign.imported import imported_headers
from codec.gap import Gap, GapKind
from consumer.convert import imports
from consumer.convert.imports import events_of
from tests.support.archive_logs import event

FOREIGN = Path(__file__).parents[2] / "data" / "foreign"


def found(path: Path, format: str) -> list[Event | Gap]:
    return list(events_of(path, format))


def test_shoebox_payloads_are_bodies_and_metadata_headers() -> None:
    events = found(FOREIGN / "shoebox-v1.bin", "shoebox")
    assert [event.body[:3] for event in events] == [b"pay", b'{"t', b"\xff\x00b"]
    assert [imported_headers(event) for event in events] == [{"key": "value"}, {}, {"né": "été"}]
    assert (events[1].id, events[1].type, events[1].time_us) == (
        "m-1", "compute.instance.create", parse_time("2026-11-20T00:00:01.5Z"),
    )  # fmt: skip


@pytest.mark.parametrize("format", ["shoebox", "jsonl"])
def test_shoebox_json_lines_are_read_from_gzip(format: str) -> None:
    (path,) = FOREIGN.glob("*.json.gz")
    events = found(path, format)
    assert [event.id for event in events] == ["j-0", "j-1", "j-2"]
    assert b"\n".join(event.body for event in events) + b"\n" == gzip.decompress(path.read_bytes())


def test_content_that_is_not_what_its_name_says_is_reported(tmp_path: Path) -> None:
    path = tmp_path / f"events_{hashlib.sha256(b'other').hexdigest()}.json.gz"
    path.write_bytes(gzip.compress(b'{"a":1}\n'))
    event, gap = found(path, "jsonl")
    assert event.body == b'{"a":1}'
    assert "SHA-256" in gap.reason


def test_a_torn_gzip_gives_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    lines = [hashlib.sha256(b"%d" % n).hexdigest() for n in range(60_000)]
    path.write_bytes(gzip.compress("".join(f'"{line}"\n' for line in lines).encode())[:-5000])
    events = found(path, "jsonl")
    assert len([one for one in events if isinstance(one, Event)]) > 1000
    assert events[-1].kind is GapKind.TORN


def test_theia_content_is_the_body_and_its_source_a_header() -> None:
    first, second, _ = found(FOREIGN / "theia-1763741700-1763741760", "theia")
    assert (first.id, first.tags, first.time_us) == ("t-0", ("a", "b"), 1_763_741_700_250_000)
    assert imported_headers(first) == {"source": "/var/log/é"}
    assert (second.body, second.tags) == (b"", ())


def test_cloud_init_descriptions_are_bodies_and_what_else_they_said_headers() -> None:
    events = found(FOREIGN / "cloudinit-22.4.pool", "cloudinit")
    assert [event.type for event in events] == ["start", "start", "finish", "compressed"]
    assert imported_headers(events[2]) == {
        "key": "CLOUD_INIT|1763741700|finish|modules|f2e6db6f-b151-4d06-8f46-023002f8df53", "name": "modules", "result": "WARN",
    }  # fmt: skip
    assert events[2].id == "f2e6db6f-b151-4d06-8f46-023002f8df53"


def test_lines_of_others_are_bodies(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b'{"message_id":"m"}\n\n[1, 2]\n{"x":NaN,"y":"\\ud800"}\n{"torn":')
    events = found(path, "jsonl")
    assert [one.body if isinstance(one, Event) else one.kind for one in events] == [
        b'{"message_id":"m"}', b"[1, 2]", b'{"x":NaN,"y":"\\ud800"}', GapKind.TORN,
    ]  # fmt: skip
    assert events[3].offset == 50


@pytest.mark.parametrize("format", ["shoebox", "theia", "cloudinit", "jsonl"])
def test_an_empty_file_holds_nothing(tmp_path: Path, format: str) -> None:
    """Shoebox gave up after three of them."""
    (tmp_path / "empty").touch()
    assert found(tmp_path / "empty", format) == []


def test_marks_of_an_export_that_make_no_sense_are_a_gap(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(shoebox.encode([("deedbox.event", '{"id":1}')], b"x"))
    (gap,) = found(tmp_path / "x", "shoebox")
    assert isinstance(gap, Gap)


@pytest.mark.parametrize(("duplicate", "kind"), [("a1-00000007:41", Event), ("", Event), ("x", Gap), (True, Gap)])
def test_a_restored_duplicate_is_a_position(tmp_path: Path, duplicate: object, kind: type) -> None:
    ours = event(1)._asdict() | {"header": "AAA=", "duplicate": duplicate}
    del ours["body"]
    (tmp_path / "x").write_bytes(shoebox.encode([("deedbox.event", json.dumps(ours))], b"x"))
    (one,) = found(tmp_path / "x", "shoebox")
    assert isinstance(one, kind)
    assert not isinstance(one, Event) or one.duplicate == duplicate


HOSTILE = {
    "a long name": ("shoebox", shoebox.encode([("n" * 300, "v")], b"x")),
    "deep marks": ("shoebox", shoebox.encode([("deedbox.event", "[" * 200_000)], b"x")),
    "a deep id": ("jsonl", b'{"position":"","arrived":"","exchange":"","routing_key":"","id_escaped":"%b"}' % (b"[" * 200_000)),
    "a time before the calendar": (
        "jsonl",
        b'{"position":"","arrived":"0001-01-01T00:00:00+23:00","time":"0001-01-01T00:00:00+23:00","exchange":"","routing_key":"","id":""}',
    ),
    "a huge exponent": ("theia", b"event: 38 38 0\nid:x\ntimestamp: 1e900000\nsource:s\ntags:\n\n\n"),
    "deep data": ("cloudinit", b"".join(cloudinit.encode("CLOUD_INIT|1|compressed|n|u", {"name": "n", "type": "compressed"}, "[" * 50_000))),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_record_ends_nothing(tmp_path: Path, name: str) -> None:
    format, raw = HOSTILE[name]
    (tmp_path / "x").write_bytes(raw + b"\n" * (format == "jsonl"))
    assert len(found(tmp_path / "x", format)) == 1


def test_a_gap_between_slices_tells_each_event_once(tmp_path: Path) -> None:
    fields = {"name": "n", "type": "t", "ts": "2026-11-21T16:15:00Z"}
    whole = b"".join(cloudinit.encode("CLOUD_INIT|1|t|n|u", fields, "x" * 1500))
    (tmp_path / "x").write_bytes(whole + bytes(2560) + whole + b"torn")
    events = found(tmp_path / "x", "cloudinit")
    assert [type(one) for one in events] == [Event, Gap, Event, Gap]


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    fd = os.open(tmp_path / "pipe", os.O_RDWR)
    with pytest.raises(OSError, match="not a regular file"):
        found(tmp_path / "pipe", "jsonl")
    os.close(fd)


def test_a_notification_is_not_parsed_once_more_to_prove_that_it_is_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That took a fifth of the time of an import."""
    path = tmp_path / "notifications"
    path.write_bytes(b'{"event_type":"a.b","message_id":"1"}\n' * 3)
    monkeypatch.setattr(imports, "json", None)
    assert [found.type for found in imports.events_of(path, "jsonl")] == ["a.b"] * 3


def test_a_line_that_is_too_long_is_counted_and_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "LINE_BYTES_MAX", 1 << 20)
    tracemalloc.start()
    (line,) = imports._lines(bytes(1 << 20) for _ in range(100))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (line.size, line.text) == (100 << 20, None)
    assert peak < 8 << 20
