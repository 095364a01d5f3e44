from pathlib import Path

import pytest

from consumer.archive.listing import find_archives
from consumer.errors import Fatal
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from consumer.ship.restore_plan import Window, instances_of, restore_plan
from tests.support.archive_logs import START_US, archive_log, some
from tests.support.copied import copy_to


@pytest.fixture
def prefix(tmp_path: Path) -> ObjectUrl:
    """Three archives of two instances, a file beside one, a digest, and objects of others."""
    for instance, firsts in (("one", (0, 20)), ("two", (40,))):
        log = archive_log(tmp_path / "archive", instance=instance)
        for first in firsts:
            log.append(some(first, 20))
            log.roll("stop")
    prefix = ObjectUrl("memory", tmp_path.name, "keep")
    copy_to(tmp_path / "archive", prefix)
    store = store_of(prefix)
    first = find_archives([prefix])[0]
    store.put(first.with_name("one-00000001.deleted"), b"", {})
    store.put(prefix / "digests" / "one" / "00000001.digest", b"{}", {})
    store.put(prefix / "notes.txt", b"of others", {})
    return prefix


def test_everything_that_was_shipped_has_its_place(prefix: ObjectUrl, tmp_path: Path) -> None:
    plan = restore_plan([prefix], tmp_path / "new", Window())
    paths = [copy.path.relative_to(tmp_path / "new") for copy in plan.archives]
    assert paths == [path.relative_to(tmp_path / "archive") for path in sorted(find_archives([tmp_path / "archive"]))]
    assert [copy.path.name for copy in plan.beside] == ["one-00000001.deleted"]
    assert [copy.path.relative_to(tmp_path / "new") for copy in plan.digests] == [Path("digests/one/00000001.digest")]
    assert plan.highest == {"one": 2, "two": 1}
    assert instances_of(plan.archives) == {"one", "two"}


def test_a_window_chooses_archives_by_the_times_in_their_names(prefix: ObjectUrl, tmp_path: Path) -> None:
    plan = restore_plan([prefix], tmp_path, Window(since_us=START_US + 20, until_us=START_US + 39))
    assert [copy.path.name[-20:] for copy in plan.archives] == ["one-00000002.kvp.zst"]
    assert (plan.beside, plan.digests) == ([], [])
    assert plan.highest == {"one": 2, "two": 1}, "also of archives outside of the window"


def test_a_single_archive_comes_with_the_files_beside_it(prefix: ObjectUrl, tmp_path: Path) -> None:
    first = find_archives([prefix])[0]
    plan = restore_plan([first], tmp_path, Window())
    assert [copy.path for copy in plan.archives] == [tmp_path / first.parent.name / first.name]
    assert [copy.path.name for copy in plan.beside] == ["one-00000001.deleted"]


def test_an_archive_at_two_destinations_is_restored_once(prefix: ObjectUrl, tmp_path: Path) -> None:
    other = ObjectUrl("memory", tmp_path.name, "other")
    copy_to(tmp_path / "archive", other)
    assert len(restore_plan([prefix, other], tmp_path / "new", Window()).archives) == 3


def test_an_event_that_is_deleted_at_one_of_two_destinations_stays_deleted(prefix: ObjectUrl, tmp_path: Path) -> None:
    """The archive comes from one place, the file with its deleted events from another one, where it is in another folder."""
    other = ObjectUrl("memory", tmp_path.name, "other")
    second = find_archives([prefix])[1]
    store = store_of(prefix)
    store.put(other / "elsewhere" / second.name, store.get(second), {})
    store.put(other / "elsewhere" / "one-00000002.deleted", b"{}", {})
    for window in (Window(), Window(since_us=START_US)):
        plan = restore_plan([prefix, other], tmp_path / "new", window)
        (place,) = [copy.path for copy in plan.archives if copy.url == second]
        found = [copy.path for copy in plan.beside if other in copy.url.parents]
        assert found == [place.with_name("one-00000002.deleted")]


def test_a_digest_at_two_destinations_is_restored_once(prefix: ObjectUrl, tmp_path: Path) -> None:
    other = ObjectUrl("memory", tmp_path.name, "other")
    copy_to(tmp_path / "archive", other)
    for number in ("00000001", "00000002"):
        store_of(other).put(other / "digests" / "one" / f"{number}.digest", b"{}", {})
    plan = restore_plan([prefix, other], tmp_path / "new", Window())
    assert [(copy.url.key.split("/")[0], copy.path.name) for copy in plan.digests] == [
        ("keep", "00000001.digest"),
        ("other", "00000002.digest"),
    ]


def test_a_url_without_archives_is_an_error(prefix: ObjectUrl, tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="there is no archive"):
        restore_plan([prefix / "nothing"], tmp_path, Window())
