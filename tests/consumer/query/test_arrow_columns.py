from pathlib import Path
from random import Random

import orjson
import pyarrow as pa

from codec import jsonl
from codec.amqp import Decimal, Field, encode_header
from codec.event import Event, format_time
from consumer.query.arrow_columns import COLUMNS, Rows, fields_of, record_batch, schema
from tests.support.archive_logs import event
from tests.support.archive_sets import ArchiveSet

HEADER = encode_header({"app_id": "nova", "headers": (("n", Field("l", 7)), ("d", Field("D", Decimal(2, 125))))})


def table(events: list[Event], names: tuple[str, ...] = tuple(COLUMNS)) -> pa.RecordBatch:
    return record_batch(Rows(events, (f"a-00000001:{number}" for number in range(len(events)))), names)


def test_a_row_holds_the_members_of_the_json_line_and_the_exact_bytes(tmp_path: Path) -> None:
    """Names that are not UTF-8, empty lists, bodies of bytes, the first and the last time of the calendar."""
    archives = ArchiveSet(tmp_path, Random(3))
    for _ in range(12):
        archives.grow()
    archives.close()
    events = [held.event for held in archives.held]
    for number, (one, row) in enumerate(zip(events, table(events).to_pylist(), strict=True)):
        line = orjson.loads(jsonl.encode(one, f"a-00000001:{number}"))
        same = {
            name: row[name] for name in ("id", "type", "tags", "exchange", "routing_key", "redelivered", "position")
        }
        assert same == {name: line[name] for name in same}
        assert (row["duplicate"], row["text"]) == (line.get("duplicate"), line.get("body"))
        assert (row["body"], row["header"]) == (one.body, one.header)
    times = table(events, ("time", "arrived")).columns
    assert [column.cast(pa.int64()).to_pylist() for column in times] == [
        [one.time_us for one in events],
        [one.arrived_us for one in events],
    ]


def test_properties_and_headers_are_the_text_of_json_objects() -> None:
    (row,) = table([event(1)._replace(header=HEADER)], ("headers", "properties")).to_pylist()
    assert row == {"headers": '{"n":7,"d":"125e-2"}', "properties": '{"app_id":"nova"}'}


def test_a_header_that_cannot_be_decoded_leaves_both_empty() -> None:
    (row,) = table([event(1)._replace(header=b"\xff\xff")], ("headers", "properties", "header")).to_pylist()
    assert row == {"headers": "{}", "properties": "{}", "header": b"\xff\xff"}


def test_columns_have_the_same_type_with_and_without_rows() -> None:
    assert table([]).schema == table([event(1)]).schema == schema()
    assert [str(kind) for kind in schema(("time", "tags", "body", "redelivered")).types] == [
        "timestamp[us, tz=UTC]", "list<item: string>", "binary", "bool",
    ]  # fmt: skip


def test_only_the_wanted_columns_are_built() -> None:
    class NoPositions:
        def __iter__(self) -> None:
            raise AssertionError("the column is not wanted")

    rows = Rows([event(1)], NoPositions())  # type: ignore[arg-type]
    assert record_batch(rows, ("type",)).to_pydict() == {"type": ["type.1"]}
    assert "shown" not in vars(rows)
    assert fields_of(("text", "position", "headers")) == {"body", "header"}


def test_times_are_those_of_the_line() -> None:
    (row,) = table([event(1)], ("time",)).to_pylist()
    assert row["time"].isoformat() == format_time(event(1).time_us).replace("Z", "+00:00")
