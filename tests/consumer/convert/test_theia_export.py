from collections.abc import Iterator
from pathlib import Path

from codec.event import Event
from codec.foreign import theia
from consumer.convert.exports import export
from consumer.convert.formats import FileFormat
from consumer.disk.durable import Disk
from consumer.query.search import Found
from tests.support.archive_logs import START_US, event


def found(*events: Event) -> Iterator[Found]:
    return (Found(one, f"one-00000001:0:{index}") for index, one in enumerate(events))


def test_theia_files_hold_a_minute_each_and_are_named_for_its_index(tmp_path: Path) -> None:
    minute = START_US // 60_000_000
    events = [event(n)._replace(time_us=(minute * 60 + 25 * n) * 1_000_000) for n in range(6)]
    report = export(Disk(), found(*events), FileFormat.THEIA, tmp_path)
    assert [path.name for path in report.files] == [f"{(minute + n) * 60}-{(minute + n + 1) * 60}" for n in range(3)]
    read = [one for path in report.files for one in theia.decode(path.read_bytes())]
    assert [(one.id, one.content, one.source, one.time_us) for one in read] == [
        (one.id, one.body, "key", one.time_us) for one in events
    ]


def test_no_header_is_written_that_theia_would_misread(tmp_path: Path) -> None:
    events = [event(1)._replace(id="a\nid:forged", tags=("x,y",), routing_key="k\n"), event(2)._replace(body=b"\xff")]
    report = export(Disk(), found(*events), FileFormat.THEIA, tmp_path)
    assert (report.events, report.left_out) == (1, 1)
    assert {name for name in report.unsupported if report.unsupported[name]} >= {
        "id",
        "tags",
        "source",
        "a body that is not UTF-8",
    }
    (one,) = theia.decode(report.files[0].read_bytes())
    assert (one.id, one.tags) == ("a id:forged", ("x y",))


def test_theia_files_hold_no_events_before_1970(tmp_path: Path) -> None:
    report = export(Disk(), found(event(1)._replace(time_us=-5)), FileFormat.THEIA, tmp_path)
    assert (report.left_out, report.files) == (1, [])


def test_a_header_that_theia_files_cannot_hold_is_left_out_and_counted(tmp_path: Path) -> None:
    report = export(Disk(), found(event(1)._replace(tags=("x" * 70_000,)), event(2)), FileFormat.THEIA, tmp_path)
    assert (report.events, report.left_out, report.unsupported["an id, a source and tags that are too long"]) == (
        1,
        1,
        1,
    )
    assert [one.id for one in theia.decode(report.files[0].read_bytes())] == ["id-2"]
