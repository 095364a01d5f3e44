from pathlib import Path

from consumer.archive.listing import find_archives
from consumer.archive.reading.catalog import Wanted, look_up
from consumer.archive.reading.fault import ReadFault
from consumer.query.batches import BatchRequest, MovedBatch, event_numbers, read_batch
from consumer.query.query import make_query
from consumer.query.search import Search
from tests.support.archive_logs import archive_log, event, some
from tests.support.rewriting import rewrite


def test_a_batch_that_moved_is_distinguished_from_a_damaged_one(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    for serial in range(3):
        one.append(some(10 * serial, 10))
    one.roll("test")
    (path,) = find_archives([tmp_path])
    entry = look_up(path, Wanted())
    request = BatchRequest(path, 0, entry.batches[1], entry.tombstones, make_query(types=["type.1"]))
    assert event_numbers(request.batch) == range(10, 20)
    assert [(number, event.id) for number, event in read_batch(request).events] == [
        (n, f"id-{n}") for n in (10, 13, 16, 19)
    ]
    path.chmod(0o600)
    raw = path.read_bytes()
    at = request.batch.offset + request.batch.size - 1
    path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
    damaged = read_batch(request)
    assert (isinstance(damaged, MovedBatch), damaged.faults == ()) == (False, False)
    path.write_bytes(raw)
    rewrite(path, [15])
    assert isinstance(read_batch(request), MovedBatch)
    path.unlink()
    assert read_batch(request) == MovedBatch([], (ReadFault(path, None, "No such file or directory"),))


def test_an_expression_that_times_out_rejects_its_event_and_does_not_end_the_search(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    slow = event(1)._replace(body=b"a" * 40 + b"!")
    one.append([event(0), slow, event(2)])
    search = Search([tmp_path], make_query(match="(?:a|aa)+$|serial"))
    assert [found.event.id for found in search] == ["id-0", "id-2"]
    (fault,) = search.faults
    assert "event 1: the expression" in str(fault)
