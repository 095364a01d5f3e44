import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from consumer.archive.listing import find_archives
from consumer.archive.reading.duplicates import DuplicateMode
from consumer.errors import DeedboxError, Fatal
from consumer.query import arrow
from consumer.query.arrow_events import ArrowEvents
from consumer.query.query import make_query
from consumer.query.search import Search
from tests.support.archive_logs import START_US, archive_log, event, some
from tests.support.archive_sets import ArchiveSet
from tests.support.processes import processes
from tests.support.rewriting import rewrite


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Two instances, each with a sealed and an open archive of three batches."""
    for first, instance in ((0, "one"), (1000, "two")):
        one = archive_log(tmp_path / "archive", instance=instance)
        for batch in range(6):
            one.append(some(first + 10 * batch, 10))
            if batch == 2:
                one.roll("test")
    return tmp_path / "archive"


def ids(events: ArrowEvents, condition: pc.Expression | None = None) -> list[str]:
    return [str(one) for one in events.reader(["id"], condition).read_all().column("id").to_pylist()]


def damage(path: Path) -> None:
    """Change the frame of the first batch."""
    path.chmod(0o600)
    raw = bytearray(path.read_bytes())
    at = raw.find(b"\x28\xb5\x2f\xfd")  # of zstd
    raw[at + 20] ^= 1
    path.write_bytes(raw)


def test_events_come_in_the_order_of_the_archives(directory: Path) -> None:
    expected = [f"id-{first + n}" for first in (0, 1000) for n in range(60)]
    assert ids(ArrowEvents([directory])) == expected
    with ThreadPoolExecutor(4) as threads:
        assert ids(ArrowEvents([directory], executor=threads)) == expected


def test_worker_processes_send_rows(directory: Path) -> None:
    with processes(2) as executor:
        assert len(ids(ArrowEvents([directory], executor=executor), pc.field("type") == "type.1")) == 40


@pytest.mark.parametrize("seed", range(8))
def test_every_archive_set_gives_the_events_of_a_search(tmp_path: Path, seed: int) -> None:
    archives = ArchiveSet(tmp_path, Random(seed))
    for _ in range(4):
        archives.grow()
    query = make_query().showing(DuplicateMode.SHOW)
    events = ArrowEvents([tmp_path], query)
    assert events.plan() > 0
    for _ in range(3):
        archives.move()  # between the plan and the reading
    rows = events.reader(["position", "body"]).read_all().to_pylist()
    archives.close()
    found = [(one.position, one.event.body) for one in Search([tmp_path], query)]
    assert sorted((row["position"], row["body"]) for row in rows) == sorted(found)
    assert events.faults == []


def test_two_scans_read_the_same_events_though_others_arrive(directory: Path) -> None:
    events = ArrowEvents([directory])
    first = iter(events.reader(["id"]))
    next(first)
    archive_log(directory, instance="three").append(some(5000, 10))
    assert len(ids(events)) == 120
    assert sum(len(batch) for batch in first) == 110


def test_conditions_of_the_flags_and_of_the_engine_limit_what_is_read(directory: Path) -> None:
    early = pa.scalar(START_US + 15, pa.timestamp("us", tz="UTC"))
    events = ArrowEvents([directory])
    assert ids(events, pc.field("time") < early) == [f"id-{n}" for n in range(15)]
    assert events.batches_read == 2
    flags = ArrowEvents([directory], make_query(until_us=START_US + 14))
    assert ids(flags) == [f"id-{n}" for n in range(15)]
    assert flags.batches_read == 2


def test_an_archive_that_is_rewritten_after_the_plan_is_found_again(directory: Path) -> None:
    events = ArrowEvents([directory])
    events.plan()
    for path in find_archives([directory]):
        if ".open" not in path.name:
            rewrite(path, [25])  # other batches
    assert sorted(ids(events)) == sorted(f"id-{first + n}" for first in (0, 1000) for n in range(60))
    assert events.faults == []


def test_a_damaged_batch_is_one_fault_of_all_scans(directory: Path) -> None:
    path = next(path for path in find_archives([directory]) if isinstance(path, Path) and ".open" not in path.name)
    damage(path)
    events = ArrowEvents([directory])
    assert len(ids(events)) == len(ids(events)) == 110
    (fault,) = events.faults
    assert (fault.path, "batch 0" in fault.reason) == (path, True)
    with pytest.raises(DeedboxError, match="not everything could be read"):
        events.reader(["id"], at_end=events.raise_faults).read_all()


def test_hidden_duplicates_are_counted_once(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append([event(1), event(1)._replace(duplicate="one-00000001:0"), event(2)])
    events = ArrowEvents([tmp_path])
    assert (ids(events), ids(events), events.hidden) == (["id-1", "id-2"], ["id-1", "id-2"], 1)


def test_a_stopped_scan_reads_no_further_batch(directory: Path) -> None:
    events = ArrowEvents([directory])
    batches = iter(events.reader(["id"]))
    next(batches)
    events.stop()
    assert list(batches) == []
    assert events.batches_read == 1


def test_an_error_that_ends_a_scan_is_kept_for_its_reader(directory: Path) -> None:
    events = ArrowEvents([directory])

    def fail() -> None:
        raise OSError(5, "gone")

    with pytest.raises(OSError, match="gone"):
        events.reader(["id"], at_end=fail).read_all()
    assert isinstance(events.error, OSError)


def test_the_function_of_the_package_gives_a_reader_that_raises_at_its_end(directory: Path) -> None:
    reader = arrow([directory], make_query(types=["type.1"]), ["id"])
    assert (reader.schema.names, reader.read_all().num_rows) == (["id"], 40)
    damage(next(path for path in find_archives([directory]) if isinstance(path, Path) and ".open" not in path.name))
    found = []
    with pytest.raises(DeedboxError, match="not everything could be read"):
        found += list(arrow([directory]))
    assert len(arrow([directory]).schema) == 15


def test_a_missing_package_is_named(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Fatal, match=r"pip install 'deedbox\[sql\]'"):
        arrow([directory])
