from collections.abc import Iterator
from pathlib import Path

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from codec.amqp import Field, encode_header
from consumer.convert import parquet
from consumer.convert.parquet import write_parquet
from consumer.disk.durable import Disk
from consumer.errors import Fatal
from consumer.query.search import Found
from tests.support.archive_logs import START_US, event

HEADER = encode_header({"content_type": "text/plain", "headers": (("n", Field("l", 7)),)})


def test_events_are_partitioned_by_day_and_type(tmp_path: Path) -> None:
    events = [
        event(1)._replace(type="a.b", header=HEADER, tags=("t",), duplicate="a1-00000007:41"), event(2)._replace(type="c/d=e", body=b"\xff"),
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
    assert [row["duplicate"] for row in rows] == ["a1-00000007:41", None, None]
    assert (rows[0]["text"], rows[1]["text"]) == (events[0].body.decode(), None)
    assert rows[0]["time"].isoformat() == "2025-11-21T16:15:00.000001+00:00"


def test_a_second_export_into_one_directory_is_refused(tmp_path: Path) -> None:
    write_parquet(Disk(), [Found(event(1)._replace(type="t"), "p")], tmp_path)
    with pytest.raises(FileExistsError, match="name another directory"):
        write_parquet(Disk(), [Found(event(1)._replace(type="t"), "p")], tmp_path)
    assert len(ds.dataset(tmp_path, partitioning="hive").to_table()) == 1


def test_without_pyarrow_the_error_names_the_package_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(Fatal, match=r"deedbox\[parquet\]"):
        write_parquet(Disk(), [], tmp_path)


def test_a_long_type_is_shortened_as_a_directory_only(tmp_path: Path) -> None:
    kinds = ["é" * 300, "é" * 301]
    write_parquet(Disk(), [Found(event(n)._replace(type=kind), "p") for n, kind in enumerate(kinds)], tmp_path)
    rows = ds.dataset(tmp_path, partitioning="hive").to_table().to_pylist()
    assert sorted(row["event_type"] for row in rows) == kinds
    assert len({row["type"] for row in rows}) == 2


def test_an_export_that_fails_leaves_no_directory(tmp_path: Path) -> None:
    def dies() -> Iterator[Found]:
        yield Found(event(1), "p")
        raise OSError(5, "gone")

    with pytest.raises(OSError, match="gone"):
        write_parquet(Disk(), dies(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_batch_is_bounded_in_rows_and_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """48 events of 20 MB took 7 GB."""
    monkeypatch.setattr(parquet, "BYTES_MAX", 1000)
    monkeypatch.setattr(parquet, "ROWS", 5)
    events = [event(n, size=300 if n < 10 else 1)._replace(type="t") for n in range(30)]
    count, (path,) = write_parquet(Disk(), [Found(one, "p") for one in events], tmp_path)
    file = pq.ParquetFile(path)
    rows = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    assert (count, sum(rows), rows) == (30, 30, [4, 4, 5, 5, 5, 5, 2])


def test_more_types_than_files_that_may_be_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "FILES_MAX", 3)
    monkeypatch.setattr(parquet, "ROWS", 4)
    events = [event(n)._replace(type=f"t{n % 7}") for n in range(50)]
    write_parquet(Disk(), [Found(one, "p") for one in events], tmp_path)
    rows = ds.dataset(tmp_path, partitioning="hive").to_table().to_pylist()
    assert sorted((row["id"], row["type"]) for row in rows) == sorted((one.id, one.type) for one in events)
