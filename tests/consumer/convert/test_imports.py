import json
from pathlib import Path

import pytest

from codec.event import Event, parse_time
from codec.foreign import cloudinit, shoebox
from codec.foreign.imported import imported_headers
from codec.gap import Gap
from consumer.convert.formats import FileFormat
from consumer.convert.imports import events_of
from tests.support.archive_logs import event

FOREIGN = Path(__file__).parents[2] / "data" / "foreign"


def found(path: Path, format: str) -> list[Event | Gap]:
    return list(events_of(path, FileFormat(format)))


def test_shoebox_payloads_are_bodies_and_metadata_headers() -> None:
    events = found(FOREIGN / "shoebox-v1.bin", "shoebox")
    assert [event.body[:3] for event in events] == [b"pay", b'{"t', b"\xff\x00b"]
    assert [imported_headers(event) for event in events] == [{"key": "value"}, {}, {"né": "été"}]
    assert (events[1].id, events[1].type, events[1].time_us) == (
        "m-1", "compute.instance.create", parse_time("2026-11-20T00:00:01.5Z"),
    )  # fmt: skip


def test_theia_content_is_the_body_and_its_source_a_header() -> None:
    first, second, _ = found(FOREIGN / "theia-1763741700-1763741760", "theia")
    assert (first.id, first.tags, first.time_us) == ("t-0", ("a", "b"), 1_763_741_700_250_000)
    assert imported_headers(first) == {"source": "/var/log/é"}
    assert (second.body, second.tags) == (b"", ())


def test_cloud_init_descriptions_are_bodies_and_other_members_are_headers() -> None:
    events = found(FOREIGN / "cloudinit-22.4.pool", "cloudinit")
    assert [event.type for event in events] == ["start", "start", "finish", "compressed"]
    assert imported_headers(events[2]) == {
        "key": "CLOUD_INIT|1763741700|finish|modules|f2e6db6f-b151-4d06-8f46-023002f8df53", "name": "modules", "result": "WARN",
    }  # fmt: skip
    assert events[2].id == "f2e6db6f-b151-4d06-8f46-023002f8df53"


@pytest.mark.parametrize("format", ["shoebox", "theia", "cloudinit", "jsonl"])
def test_an_empty_file_holds_nothing(tmp_path: Path, format: str) -> None:
    """shoebox raises an error after three of them."""
    (tmp_path / "empty").touch()
    assert found(tmp_path / "empty", format) == []


def test_invalid_members_of_an_exported_event_are_a_gap(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(shoebox.encode([("deedbox.event", '{"id":1}')], b"x"))
    (gap,) = found(tmp_path / "x", "shoebox")
    assert isinstance(gap, Gap)


@pytest.mark.parametrize(("duplicate", "kind"), [("a1-00000007:41", Event), ("", Event), ("x", Gap), (True, Gap)])
def test_a_restored_duplicate_is_a_position(tmp_path: Path, duplicate: object, kind: type) -> None:
    own = event(1)._asdict() | {"header": "AAA=", "duplicate": duplicate}
    del own["body"]
    (tmp_path / "x").write_bytes(shoebox.encode([("deedbox.event", json.dumps(own))], b"x"))
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
def test_a_hostile_record_does_not_end_an_import(tmp_path: Path, name: str) -> None:
    format, raw = HOSTILE[name]
    (tmp_path / "x").write_bytes(raw + b"\n" * (format == "jsonl"))
    assert len(found(tmp_path / "x", format)) == 1


def test_a_gap_between_slices_does_not_repeat_events(tmp_path: Path) -> None:
    fields = {"name": "n", "type": "t", "ts": "2026-11-21T16:15:00Z"}
    whole = b"".join(cloudinit.encode("CLOUD_INIT|1|t|n|u", fields, "x" * 1500))
    (tmp_path / "x").write_bytes(whole + bytes(2560) + whole + b"torn")
    events = found(tmp_path / "x", "cloudinit")
    assert [type(one) for one in events] == [Event, Gap, Event, Gap]
