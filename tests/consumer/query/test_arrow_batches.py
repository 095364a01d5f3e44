from pathlib import Path

import pyarrow.compute as pc

from consumer.archive.listing import find_archives
from consumer.archive.reading.catalog import Wanted, look_up
from consumer.archive.reading.duplicates import DuplicateMode
from consumer.query.arrow_batches import ArrowRequest, Selection, read_arrow
from consumer.query.batches import BatchRequest
from consumer.query.query import Query, make_query
from tests.support.archive_logs import archive_log, some


def request(directory: Path, selection: Selection, query: Query | None = None) -> ArrowRequest:
    (path,) = find_archives([directory])
    entry = look_up(path, Wanted())
    return ArrowRequest(
        BatchRequest(path, 0, entry.batches[0], entry.tombstones, query or make_query()), entry.id, selection
    )


def of(*names: str) -> Selection:
    return Selection(names, None, names)


def test_the_columns_of_the_shown_events_with_their_positions(tmp_path: Path) -> None:
    events = some(0, 4)
    events[2] = events[1]._replace(duplicate="one-00000001:1")
    archive_log(tmp_path).append(events)
    read = read_arrow(request(tmp_path, of("position", "id")))
    assert read.rows is not None
    assert read.rows.to_pydict() == {
        "position": ["one-00000001:0", "one-00000001:1", "one-00000001:3"],
        "id": ["id-0", "id-1", "id-3"],
    }
    assert read.hidden == 1
    only = read_arrow(request(tmp_path, of("id", "duplicate"), make_query().showing(DuplicateMode.ONLY)))
    assert only.rows is not None
    assert only.rows.to_pydict() == {"id": ["id-1"], "duplicate": ["one-00000001:1"]}


def test_a_query_that_reads_bodies_and_ids_gets_them_though_no_column_shows_them(tmp_path: Path) -> None:
    archive_log(tmp_path).append(some(0, 20))
    for query in (make_query(ids=["id-7"]), make_query(match='serial":7,'), make_query(where=["serial=7"])):
        read = read_arrow(request(tmp_path, of("type"), query))
        assert read.rows is not None
        assert read.rows.to_pydict() == {"type": ["type.1"]}


def test_a_condition_may_read_columns_that_are_not_wanted(tmp_path: Path) -> None:
    archive_log(tmp_path).append(some(0, 6))
    selection = Selection(("id",), pc.field("type") == "type.1", ("id", "type"))
    read = read_arrow(request(tmp_path, selection))
    assert read.rows is not None
    assert read.rows.to_pydict() == {"id": ["id-1", "id-4"]}


def test_a_batch_that_moved_has_no_rows(tmp_path: Path) -> None:
    archive_log(tmp_path).append(some(0, 6))
    asked = request(tmp_path, of("id"))
    asked.request.path.unlink()  # type: ignore[union-attr]
    assert read_arrow(asked).rows is None
