from pathlib import Path

import pyarrow.dataset as ds
import pytest

from codec.amqp import Field, encode_header
from consumer.archive.durable import Disk
from consumer.errors import Fatal
from consumer.query.parquet import write_parquet
from consumer.query.search import Found
from tests.support.shelves import START_US, event

HEADER = encode_header({"content_type": "text/plain", "headers": (("n", Field("l", 7)),)})


def test_events_are_partitioned_by_day_and_type(tmp_path: Path) -> None:
    events = [
        event(1)._replace(type="a.b", header=HEADER, tags=("t",)), event(2)._replace(type="c/d=e", body=b"\xff"),
        event(3)._replace(type="", time_us=START_US + 86_400_000_000),
    ]  # fmt: skip
    count, files = write_parquet(Disk(), (Found(one, f"p:{one.id}") for one in events), tmp_path)
    assert (count, len(files)) == (3, 3)
    assert {str(path.parent.relative_to(tmp_path)) for path in files} == {
        "day=2025-11-21/type=a.b", "day=2025-11-21/type=c%2Fd%3De", "day=2025-11-22/type=__HIVE_DEFAULT_PARTITION__",
    }  # fmt: skip
    rows = sorted(ds.dataset(tmp_path, partitioning="hive").to_table().to_pylist(), key=lambda row: row["id"])
    assert [row["type"] for row in rows] == ["a.b", "c/d=e", None]
    assert [row["body"] for row in rows] == [one.body for one in events]
    assert (rows[0]["headers"], rows[0]["header"], rows[0]["tags"]) == ('{"n":7}', HEADER, ["t"])
    assert (rows[0]["text"], rows[1]["text"]) == (events[0].body.decode(), None)
    assert rows[0]["time"].isoformat() == "2025-11-21T16:15:00.000001+00:00"


def test_a_second_export_adds_and_replaces_nothing(tmp_path: Path) -> None:
    for serial in (1, 2):
        write_parquet(Disk(), [Found(event(serial)._replace(type="t"), "p")], tmp_path)
    assert len(ds.dataset(tmp_path, partitioning="hive").to_table()) == 2


def test_without_pyarrow_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(Fatal, match=r"deedbox\[parquet\]"):
        write_parquet(Disk(), [], tmp_path)
