from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import deedbox
from tests.support.archive_logs import START_US, archive_log, event, some


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    log = archive_log(tmp_path / "one")
    log.append(some(1, 6))
    log.append([event(7)._replace(duplicate="one-00000001:0", id="id-1")])
    archive_log(tmp_path / "two", instance="two").append([event(100)])
    return tmp_path


def ids(events: deedbox.Events) -> list[str]:
    return [one.id for one in events]


def test_paths_are_texts_or_paths(directory: Path) -> None:
    for path in (directory, str(directory)):
        assert len(ids(deedbox.open(path).search())) == 7
    assert ids(deedbox.open(directory / "one", str(directory / "two")).search(limit=1, newest_first=True)) == ["id-100"]
    assert repr(deedbox.open("/", Path("/dev"))) == "deedbox.open('/', '/dev')"


def test_a_path_that_does_not_exist_is_an_error_at_once(directory: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        deedbox.open(directory, directory / "missing")
    with pytest.raises(FileNotFoundError):
        deedbox.open("")  # not the working directory
    with pytest.raises(TypeError, match="expected a path"):
        deedbox.open()


def test_a_search_is_in_order_of_time(directory: Path) -> None:
    archives = deedbox.open(directory)
    assert ids(archives.search()) == [*(f"id-{serial}" for serial in range(1, 7)), "id-100"]
    assert ids(archives.search(newest_first=True, limit=2)) == ["id-100", "id-6"]
    assert ids(archives.search(limit=0)) == []
    assert ids(archives.search(limit=1 << 80, types="type.0")) == ["id-3", "id-6"]


def test_a_search_counts_the_duplicates_that_it_hides(directory: Path) -> None:
    search = deedbox.open(directory).search(ids="id-1")
    assert ids(search) == ["id-1"]
    assert search.hidden == 1
    (marked,) = deedbox.open(directory).search(ids="id-1", duplicates="only")
    assert marked.duplicate == deedbox.Position("one", 1, 0)


def test_batches_may_be_decoded_by_an_executor(directory: Path) -> None:
    with ThreadPoolExecutor(2) as executor:
        assert len(ids(deedbox.open(directory).search(executor=executor))) == 7


def test_a_tail_has_the_newest_events_in_order_of_their_arrival(directory: Path) -> None:
    archives = deedbox.open(directory)
    assert ids(archives.tail(2)) == ["id-6", "id-100"]
    assert ids(archives.tail(1, types="type.0")) == ["id-6"]
    tail = archives.tail()
    assert len(ids(tail)) == 7
    assert tail.hidden == 1


def test_an_event_is_found_by_its_position_and_events_by_their_id(directory: Path) -> None:
    archives = deedbox.open(directory)
    (one,) = archives.get(deedbox.Position("one", 1, 2))
    assert (one.id, one.time.timestamp()) == ("id-3", (START_US + 3) / 1e6)
    assert archives.get(str(one.position)) == [one]
    assert archives.get("id-3") == [one]
    assert [str(two.position) for two in archives.get("id-1")] == ["one-00000001:0", "one-00000001:6"]
    assert archives.get("no such id") == []
    assert archives.get("one-00000009:0") == []


def test_an_empty_id_names_no_event(directory: Path) -> None:
    with pytest.raises(ValueError, match="empty id"):
        deedbox.open(directory).get("")


def test_an_archive_that_cannot_be_read_may_hold_the_event(directory: Path) -> None:
    (path,) = (directory / "two").glob("*.open")
    path.write_bytes(b"x" * 5000)
    with pytest.raises(deedbox.ReadError, match=path.name):
        deedbox.open(directory).get("no such id")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda one: one.get(None), "name: expected an id as a text, or a Position, found None of type NoneType"),
        (lambda one: one.get(b"id-1"), "found b'id-1' of type bytes"),
        (lambda one: one.search(limit=2.5), "limit: expected an integer, found 2.5 of type float"),
        (lambda one: one.search(executor=ThreadPoolExecutor), "executor: expected a concurrent.futures.Executor"),
        (lambda one: one.tail(None), "newest: expected an integer, found None of type NoneType"),
        (lambda _: deedbox.open(None), "path: expected a text or a Path, found None of type NoneType"),  # type: ignore[arg-type]
    ],
)
def test_a_value_of_a_wrong_type_is_a_type_error(
    directory: Path, call: Callable[[deedbox.Archives], object], message: str
) -> None:
    """Some were taken for a text, or for no limit, and the answer was wrong."""
    with pytest.raises(TypeError, match=message):
        call(deedbox.open(directory))


@pytest.mark.parametrize("call", [lambda one: one.search(limit=-1), lambda one: one.tail(-1)])
def test_a_negative_count_is_an_error(directory: Path, call: object) -> None:
    with pytest.raises(ValueError, match="=-1; expected 0 or more"):
        call(deedbox.open(directory))  # type: ignore[operator]  # a function


def test_verify_yields_a_verdict_for_each_archive(directory: Path) -> None:
    verdicts = list(deedbox.open(directory / "one", directory / "two").verify())
    assert [(verdict.events, verdict.faults) for verdict in verdicts] == [(7, []), (1, [])]


def test_arrow_gives_the_named_columns_of_the_events_that_pass_the_filters(directory: Path) -> None:
    table = deedbox.arrow(directory, columns=["position", "id"], types="type.1").read_all()
    assert table.to_pydict() == {
        "position": ["one-00000001:0", "one-00000001:3", "two-00000001:0"],
        "id": ["id-1", "id-4", "id-100"],
    }
    with ThreadPoolExecutor(2) as threads:
        reader = deedbox.open(directory).arrow(iter(["id"]), executor=threads, duplicates="show")
        assert sorted(reader.read_all().column("id").to_pylist()) == sorted(
            [*(f"id-{n}" for n in range(1, 7)), "id-1", "id-100"]
        )


def test_arrow_raises_the_faults_at_the_end_or_puts_them_into_a_list(directory: Path) -> None:
    (path,) = (directory / "one").glob("*.open")
    path.write_bytes(path.read_bytes().replace(b"\x28\xb5\x2f\xfd", b"\x28\xb5\x2f\xfc", 1))
    with pytest.raises(deedbox.ReadError, match="batch 0"):
        deedbox.arrow(directory, columns=["id"]).read_all()
    faults: list[deedbox.ReadFault] = []
    assert deedbox.arrow(directory, columns=["id"], faults=faults).read_all().to_pydict() == {"id": ["id-100"]}
    assert [fault.path for fault in faults] == [path]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"columns": "id"}, TypeError),
        ({"columns": 3}, TypeError),
        ({"columns": ["nosuch"]}, ValueError),
        ({"columns": []}, ValueError),
        ({"typos": "x"}, TypeError),
        ({"executor": 3}, TypeError),
    ],
)
def test_a_wrong_argument_of_arrow_is_an_error_at_once(
    directory: Path, arguments: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        deedbox.arrow(directory, **arguments)  # type: ignore[arg-type]
