from pathlib import Path

import duckdb
import pytest

from consumer.query.arrow_dataset import dataset
from consumer.query.arrow_events import ArrowEvents
from tests.support.archive_logs import archive_log, some


@pytest.fixture
def events(tmp_path: Path) -> ArrowEvents:
    one = archive_log(tmp_path)
    for batch in range(10):
        one.append(some(100 * batch, 100))
    return ArrowEvents([tmp_path])


def asked(events: ArrowEvents, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect() as connection:
        connection.register("events", dataset(events))
        return connection.execute(query).fetchall()


def test_the_engine_passes_its_columns_and_conditions(events: ArrowEvents, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[object, object]] = []
    reader = ArrowEvents.reader

    def noted(self: ArrowEvents, columns: object = None, condition: object = None) -> object:
        seen.append((columns, str(condition)))
        return reader(self, columns, condition)  # type: ignore[arg-type]

    monkeypatch.setattr(ArrowEvents, "reader", noted)
    query = "select type, count(*) from events where time < '2025-11-21T16:15:00.000250Z' and exchange = 'exchange' group by 1 order by 1"
    assert asked(events, query) == [("type.0", 84), ("type.1", 83), ("type.2", 83)]
    ((columns, condition),) = seen
    assert columns == ["type"]
    assert "time < 2025-11-21 16:15:00.000250Z" in str(condition)
    assert 'exchange == "exchange"' in str(condition)
    assert events.batches_read == 3


def test_a_query_may_name_the_events_twice(events: ArrowEvents) -> None:
    """A reader of record batches is used up by the first place, and the second would find nothing."""
    query = "select count(*) from events a join events b using (id) where b.type = 'type.1'"
    assert asked(events, query) == [(333,)]
    assert asked(events, "select (select count(*) from events) + (select count(*) from events)") == [(2000,)]


def test_a_limit_ends_the_reading(events: ArrowEvents) -> None:
    assert len(asked(events, "select id from events limit 5")) == 5
    assert events.batches_read < 10
