import gzip
import hashlib
import tracemalloc
from pathlib import Path

import pytest

from codec.event import Event
from codec.gap import Gap, GapKind
from consumer.convert import lines
from consumer.convert.formats import FileFormat
from consumer.convert.imports import events_of

FOREIGN = Path(__file__).parents[2] / "data" / "foreign"


def found(path: Path, format: str) -> list[Event | Gap]:
    return list(events_of(path, FileFormat(format)))


@pytest.mark.parametrize("format", ["shoebox", "jsonl"])
def test_shoebox_json_lines_are_read_from_gzip(format: str) -> None:
    (path,) = FOREIGN.glob("*.json.gz")
    events = found(path, format)
    assert [event.id for event in events] == ["j-0", "j-1", "j-2"]
    assert b"\n".join(event.body for event in events) + b"\n" == gzip.decompress(path.read_bytes())


def test_content_with_another_sha_256_than_its_name_is_reported(tmp_path: Path) -> None:
    path = tmp_path / f"events_{hashlib.sha256(b'other').hexdigest()}.json.gz"
    path.write_bytes(gzip.compress(b'{"a":1}\n'))
    event, gap = found(path, "jsonl")
    assert event.body == b'{"a":1}'
    assert "SHA-256" in gap.reason


def test_a_torn_gzip_file_gives_its_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    lines = [hashlib.sha256(b"%d" % n).hexdigest() for n in range(60_000)]
    path.write_bytes(gzip.compress("".join(f'"{line}"\n' for line in lines).encode())[:-5000])
    events = found(path, "jsonl")
    assert len([one for one in events if isinstance(one, Event)]) > 1000
    assert events[-1].kind is GapKind.TORN


def test_lines_of_other_programs_are_bodies(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b'{"message_id":"m"}\n\n[1, 2]\n{"x":NaN,"y":"\\ud800"}\n{"torn":')
    events = found(path, "jsonl")
    assert [one.body if isinstance(one, Event) else one.kind for one in events] == [
        b'{"message_id":"m"}', b"[1, 2]", b'{"x":NaN,"y":"\\ud800"}', GapKind.TORN,
    ]  # fmt: skip
    assert events[3].offset == 50


def test_a_notification_is_parsed_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsing it twice took a fifth of the time of an import."""
    path = tmp_path / "notifications"
    path.write_bytes(b'{"event_type":"a.b","message_id":"1"}\n' * 3)
    monkeypatch.setattr(lines, "json", None)
    assert [found.type for found in events_of(path, FileFormat.JSONL)] == ["a.b"] * 3


def test_a_line_that_is_too_long_is_not_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LINE_BYTES_MAX", 1 << 20)
    tracemalloc.start()
    (line,) = lines.split_lines(bytes(1 << 20) for _ in range(100))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (line.size, line.text) == (100 << 20, None)
    assert peak < 8 << 20
