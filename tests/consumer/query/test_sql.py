import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.archive.listing import find_archives
from consumer.errors import DeedboxError, Exit, Fatal
from consumer.query import sql
from consumer.query.arrow_events import ArrowEvents
from consumer.query.sql import answered
from tests.support.archive_logs import archive_log, some

SECRET = "a variable of the program"
HOSTILE = [
    "copy (select 1) to '{}/out.csv'",
    "copy events to '{}/out.parquet' (format parquet)",
    "export database '{}/out'",
    "attach '{}/out.db' as other",
    "select * from read_csv('{}/secret.csv')",
    "select * from '{}/secret.csv'",
    "from read_text('{}/secret.csv')",
    "from read_blob('{}/*')",
    "from read_json('{}/secret.csv')",
    "from glob('{}/*')",
    "from sniff_csv('{}/secret.csv')",
    "from parquet_metadata('{}/secret.csv')",
    "from query('from read_text(''{}/secret.csv'')')",
    "explain analyze copy (select 1) to '{}/out.csv'",
    "explain analyze from read_text('{}/secret.csv')",
    "install httpfs",
    "load httpfs",
    "load '{}/secret.csv'",
    "select 1; copy (select 1) to '{}/out.csv'",
    "set enable_external_access = true",
    "reset enable_external_access",
    "set global memory_limit = '100GB'",
    "pragma memory_limit = '100GB'",
    "pragma profiling_output = '{}/out.json'",
    "pragma enable_profiling = 'json'",
    "call enable_logging(storage = 'file', storage_path = '{}')",
    "create secret (type s3)",
    "create table t as select 1",
    "insert into events select * from events",
    "delete from events",
    "drop view events",
    "checkpoint",
    "select getenv('HOME')",
    "from SECRET",
    "from consumer",
    "from os",
]


@pytest.fixture
def events(tmp_path: Path) -> ArrowEvents:
    one = archive_log(tmp_path / "archive")
    for batch in range(5):
        one.append(some(100 * batch, 100))
    return ArrowEvents([tmp_path / "archive"])


def rows(query: str, events: ArrowEvents) -> list[tuple[object, ...]]:
    with answered(query, events) as answer:
        return [row for rows in answer.rows for row in rows]


def test_a_query_sees_all_columns_and_json_of_the_text(events: ArrowEvents) -> None:
    query = "select id, text->>'$.serial', headers, epoch_us(time), encode(text) = body from events where id = 'id-7'"
    assert rows(query, events) == [("id-7", "7", "{}", 1_763_741_700_000_007, True)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select count(*) from events", [(500,)]),
        ("from events select min(id), max(id)", [("id-0", "id-99")]),
        ("with t as (from events) select count(*) from t a join t b on a.id = b.id", [(500,)]),
        ("pivot (select type from events) on type using count(*)", [(167, 167, 166)]),
        ("select current_setting('TimeZone')", [("UTC",)]),
        ("-- a comment\nselect count(*) from events where type = 'type.1' and id like '%7' -- the end", [(17,)]),
    ],
)
def test_queries_of_all_forms(events: ArrowEvents, query: str, expected: list[tuple[object, ...]]) -> None:
    assert rows(query, events) == expected


@pytest.mark.parametrize("query", HOSTILE)
def test_sql_reads_and_writes_nothing_but_the_events(events: ArrowEvents, tmp_path: Path, query: str) -> None:
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Fatal, match=r"SQL|statement") as refused:
        rows(query.format(*[tmp_path] * query.count("{}")), events)
    assert refused.value.exit is Exit.SETTINGS
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("query", [one for one in HOSTILE if "{}" in one and not one.startswith("select 1;")])
def test_the_engine_refuses_too_what_the_check_of_the_statement_lets_pass(
    events: ArrowEvents, tmp_path: Path, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "_only_query", lambda _, text: text)
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Fatal, match="SQL"):
        rows(query.format(*[tmp_path] * query.count("{}")), events)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("selec 1", 'SQL: Parser Error: syntax error at or near "selec"; correct'),
        ("select nosuch from events", 'Referenced column "nosuch" not found'),
        ("select cast(id as int) from events", "Could not convert string 'id-"),
        ("", "0 statements of SQL found, one expected"),
        ("select '\udcff'", "the query is not UTF-8"),
        ("select 1; select 2", "2 statements of SQL found, one expected"),
        ("update events set id = 'x'", "a statement of the kind UPDATE found"),
    ],
)
def test_wrong_sql_is_an_error_in_one_line(events: ArrowEvents, query: str, message: str) -> None:
    with pytest.raises(Fatal) as wrong:
        rows(query, events)
    assert wrong.value.exit is Exit.SETTINGS
    assert message in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_more_than_fits_into_memory_is_in_temporary_files(
    events: ArrowEvents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "MEMORY_BYTES_MAX", 64 << 20)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    query = "select a, repeat('x', 100) || a from range(1000000) t(a) order by hash(a)"
    with answered(query, events) as answer:
        (spill,) = tmp_path.glob("deedbox-sql-*")
        assert sum(path.stat().st_size for path in spill.iterdir()) > 1 << 20
        assert sum(map(len, answer.rows)) == 1_000_000
    assert list(tmp_path.glob("deedbox-sql-*")) == []
    monkeypatch.setattr(sql, "SPILL_BYTES_MAX", 1 << 20)
    with pytest.raises(DeedboxError, match="narrow it down") as failed:
        rows(query, events)
    assert not isinstance(failed.value, Fatal)


def test_an_error_of_reading_is_raised_as_it_is(events: ArrowEvents, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Iterator[object]:
        raise OSError(5, "the disk failed")

    monkeypatch.setattr("consumer.query.arrow_events.scan", fail)
    with pytest.raises(OSError, match="the disk failed"):
        rows("select count(*) from events", events)


def test_damage_costs_one_batch(events: ArrowEvents, tmp_path: Path) -> None:
    (path,) = find_archives([tmp_path / "archive"])
    raw = bytearray(path.read_bytes())  # type: ignore[union-attr]
    raw[raw.find(b"\x28\xb5\x2f\xfd") + 20] ^= 1
    path.write_bytes(raw)  # type: ignore[union-attr]
    assert rows("select count(*) from events", events) == [(400,)]
    assert len(events.faults) == 1


@pytest.mark.parametrize(
    "query",
    [
        "select count(*) from range(100000000000) t(a) where hash(a) % 7 = 1",
        "select a from range(100000000000) t(a) where hash(a) % 1000003 = 1",
    ],
    ids=["before the first row", "between rows"],
)
def test_an_interrupt_ends_a_query_at_once(events: ArrowEvents, query: str) -> None:
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        rows(query, events)
    assert time.monotonic() - began < 5
    timer.join()


def test_the_rows_of_a_large_answer_come_one_list_at_a_time(events: ArrowEvents) -> None:
    with answered("select a from range(100000000000) t(a)", events) as answer:
        assert len(next(answer.rows)) == sql.ROWS


def test_a_missing_package_is_named(events: ArrowEvents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(Fatal, match=r"pip install 'deedbox\[sql\]'"):
        rows("select 1", events)
