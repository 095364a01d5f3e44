from collections.abc import Iterator
from pathlib import Path

import pytest

from codec.event import Event
from consumer.convert.exports import export
from consumer.convert.formats import FileFormat
from consumer.disk.durable import Disk
from consumer.query.search import Found
from tests.support.archive_logs import event


def found(*events: Event) -> Iterator[Found]:
    return (Found(one, f"one-00000001:0:{index}") for index, one in enumerate(events))


def test_an_existing_file_is_never_replaced(tmp_path: Path) -> None:
    """shoebox overwrites files of the same name."""
    export(Disk(), found(event(1)), FileFormat.JSONL, tmp_path)
    before = (tmp_path / "events.jsonl").read_bytes()
    with pytest.raises(FileExistsError):
        export(Disk(), found(event(2)), FileFormat.JSONL, tmp_path)
    assert (tmp_path / "events.jsonl").read_bytes() == before


def test_an_export_that_fails_leaves_no_file(tmp_path: Path) -> None:
    """shoebox writes to the final name, so another program may copy an incomplete file."""

    def dies() -> Iterator[Found]:
        yield from found(event(1))
        raise OSError(5, "gone")

    with pytest.raises(OSError, match="gone"):
        export(Disk(), dies(), FileFormat.JSONL, tmp_path)
    assert list(tmp_path.iterdir()) == []
    export(Disk(), found(event(1)), FileFormat.JSONL, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]


def test_an_export_that_is_ended_while_it_creates_its_file_leaves_none(tmp_path: Path) -> None:
    """A signal between the creation and the block that removes the file left it there."""

    class Ended(Disk):
        def create(self, path: Path) -> int:
            super().create(path)
            raise SystemExit(143)

    with pytest.raises(SystemExit):
        export(Ended(), found(event(1)), FileFormat.JSONL, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_two_exports_at_the_same_time_do_not_disturb_each_other(tmp_path: Path) -> None:
    def other_begins() -> Iterator[Found]:
        yield from found(event(1))
        export(Disk(), found(event(2)), FileFormat.JSONL, tmp_path)

    with pytest.raises(FileExistsError):
        export(Disk(), other_begins(), FileFormat.JSONL, tmp_path)
    assert b"id-2" in (tmp_path / "events.jsonl").read_bytes()
    assert len(list(tmp_path.iterdir())) == 1
