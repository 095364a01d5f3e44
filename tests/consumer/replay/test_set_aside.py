from pathlib import Path

import orjson
import pytest

from consumer.disk.durable import Disk
from consumer.errors import DeedboxError
from consumer.query.search import Found
from consumer.replay.set_aside import record, set_aside_path
from tests.support.archive_logs import event


def found(serial: int) -> Found:
    return Found(event(serial), f"one-00000001:{serial}")


def lines(path: Path) -> list[dict[str, str]]:
    whole = []
    for line in path.read_bytes().splitlines():
        try:
            whole.append(orjson.loads(line))
        except orjson.JSONDecodeError:
            continue
    return whole


def test_each_event_has_a_line_with_its_position_and_its_reason(tmp_path: Path) -> None:
    path = set_aside_path(tmp_path, "mirror")
    path.parent.mkdir()
    record(Disk(), path, [(found(1), "no queue"), (found(2), "too \udcff large")])
    record(Disk(), path, [(found(3), "no queue")])
    assert [(line["position"], line["id"], line["reason"]) for line in lines(path)] == [
        ("one-00000001:1", "id-1", "no queue"),
        ("one-00000001:2", "id-2", "too \\udcff large"),
        ("one-00000001:3", "id-3", "no queue"),
    ]
    assert (lines(path)[0]["exchange"], lines(path)[0]["routing_key"]) == ("exchange", "key")


def test_a_line_that_a_crash_cut_off_damages_no_other(tmp_path: Path) -> None:
    path = tmp_path / "m.set-aside"
    record(Disk(), path, [(found(1), "a"), (found(2), "a")])
    path.write_bytes(path.read_bytes()[:-10])
    record(Disk(), path, [(found(3), "a")])
    assert [line["id"] for line in lines(path)] == ["id-1", "id-3"]


def test_a_file_that_cannot_be_written_is_an_error_with_an_action(tmp_path: Path) -> None:
    with pytest.raises(DeedboxError, match="free space"):
        record(Disk(), tmp_path / "gone" / "m.set-aside", [(found(1), "a")])
