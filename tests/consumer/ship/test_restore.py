import os
from pathlib import Path

import pytest

from consumer.archive.listing import find_archives
from consumer.disk.durable import Disk, held
from consumer.errors import Fatal
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from consumer.ship.restore import LOCK, Restored, RestoreOutcome, Restorer
from consumer.ship.restore_plan import Window, restore_plan
from tests.support.archive_logs import archive_log, some
from tests.support.copied import copy_to


@pytest.fixture
def prefix(tmp_path: Path) -> ObjectUrl:
    """Two sealed archives in the store of this process, without attributes."""
    log = archive_log(tmp_path / "archive")
    for first in (0, 20):
        log.append(some(first, 20))
        log.roll("stop")
    prefix = ObjectUrl("memory", tmp_path.name, "keep")
    copy_to(tmp_path / "archive", prefix)
    return prefix


def restored(prefix: ObjectUrl, directory: Path) -> list[Restored]:
    return list(Restorer(Disk(), directory).run(restore_plan([prefix], directory, Window())))


def outcomes(prefix: ObjectUrl, directory: Path) -> list[str]:
    return [one.outcome for one in restored(prefix, directory)]


def test_objects_without_attributes_are_restored_as_they_are(prefix: ObjectUrl, tmp_path: Path) -> None:
    assert outcomes(prefix, tmp_path / "new") == ["restored", "restored"]
    (first, second) = find_archives([tmp_path / "new"])
    assert first.read_bytes() == find_archives([tmp_path / "archive"])[0].read_bytes()
    assert second.stat().st_mode & 0o777 == 0o440


def test_a_file_with_other_content_is_not_overwritten(prefix: ObjectUrl, tmp_path: Path) -> None:
    plan = restore_plan([prefix], tmp_path / "new", Window())
    there = plan.archives[0].path
    there.parent.mkdir(parents=True)
    there.write_bytes(b"another file")
    failed, other = restored(prefix, tmp_path / "new")
    assert (failed.outcome, other.outcome) == (RestoreOutcome.FAILED, RestoreOutcome.RESTORED)
    assert "exists with other content" in failed.reason
    assert there.read_bytes() == b"another file"


def test_an_archive_that_is_in_another_folder_counts_as_restored(prefix: ObjectUrl, tmp_path: Path) -> None:
    assert outcomes(prefix, tmp_path / "new") == ["restored", "restored"]
    (first, _) = find_archives([tmp_path / "new"])
    (tmp_path / "new" / "moved").mkdir()
    first.rename(tmp_path / "new" / "moved" / first.name)
    assert outcomes(prefix, tmp_path / "new") == ["was there", "was there"]
    assert len(find_archives([tmp_path / "new"])) == 2


def test_what_a_killed_run_left_is_fetched_again(prefix: ObjectUrl, tmp_path: Path) -> None:
    place = restore_plan([prefix], tmp_path / "new", Window()).archives[1].path
    place.parent.mkdir(parents=True)
    (place.parent / f".{place.name}.fetching").write_bytes(b"a part of it")
    assert outcomes(prefix, tmp_path / "new") == ["restored", "restored"]
    assert not list((tmp_path / "new").rglob("*.fetching"))


def test_an_object_that_no_reader_can_read_whole_is_not_restored(prefix: ObjectUrl, tmp_path: Path) -> None:
    first = find_archives([prefix])[0]
    raw = bytearray(store_of(first).get(first))
    raw[len(raw) // 2] ^= 1
    store_of(first).put(first, bytes(raw), {})
    failed, _ = restored(prefix, tmp_path / "new")
    assert failed.outcome is RestoreOutcome.FAILED
    assert "the object is damaged" in failed.reason
    assert len(find_archives([tmp_path / "new"])) == 1


def test_an_object_that_vanishes_is_a_failure_with_its_reason(prefix: ObjectUrl, tmp_path: Path) -> None:
    plan = restore_plan([prefix], tmp_path / "new", Window())
    store_of(prefix).delete(plan.archives[0].url)
    failed, _ = Restorer(Disk(), tmp_path / "new").run(plan)
    assert (failed.outcome, failed.reason) == (RestoreOutcome.FAILED, "there is no object of this name")


def test_a_full_disk_leaves_no_file(prefix: ObjectUrl, tmp_path: Path) -> None:
    class Full(Disk):
        def append(self, fd: int, raw: bytes) -> None:
            raise OSError(28, "No space left on device")

    plan = restore_plan([prefix], tmp_path / "new", Window())
    found = list(Restorer(Full(), tmp_path / "new").run(plan))
    assert [one.outcome for one in found] == [RestoreOutcome.FAILED] * 2
    assert "No space left on device" in found[0].reason
    assert [path.name for path in (tmp_path / "new").rglob("*") if path.is_file()] == [LOCK]


def test_a_file_that_another_process_replaced_does_not_get_the_name(prefix: ObjectUrl, tmp_path: Path) -> None:
    """Two runs at the same time: the name of the unfinished file leads to a half of the other run's file, when this one is whole."""

    class Replaced(Disk):
        def make_read_only(self, fd: int) -> None:
            super().make_read_only(fd)
            for fresh in (tmp_path / "new").rglob("*.fetching"):
                if fresh.stat().st_ino == os.fstat(fd).st_ino:
                    fresh.unlink()
                    fresh.write_bytes(b"half of it")

    plan = restore_plan([prefix], tmp_path / "new", Window())
    found = list(Restorer(Replaced(), tmp_path / "new").run(plan))
    assert [one.outcome for one in found] == [RestoreOutcome.FAILED] * 2
    assert "changed by another process" in found[0].reason
    assert find_archives([tmp_path / "new"]) == []


def test_one_process_at_a_time_restores_into_a_directory(prefix: ObjectUrl, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    with held(Disk(), tmp_path / "new" / LOCK), pytest.raises(Fatal, match="another process restores"):
        restored(prefix, tmp_path / "new")
    assert outcomes(prefix, tmp_path / "new") == ["restored", "restored"]


def deleted_beside(prefix: ObjectUrl, attributes: dict[str, str] | None = None) -> ObjectUrl:
    """The object with the deleted events of the first archive."""
    url = find_archives([prefix])[0].with_name("one-00000001.deleted")
    store_of(url).put(url, b'{"event":3}\n', attributes or {})
    return url


def test_an_archive_waits_for_its_deleted_events(prefix: ObjectUrl, tmp_path: Path) -> None:
    url = deleted_beside(prefix, {"sha256": "1" * 64})
    results = restored(prefix, tmp_path / "new")
    assert [one.outcome for one in results] == ["not restored", "not restored", "restored"]
    assert "deleted events of it would be shown" in results[1].reason
    assert [path.name[-18:-8] for path in find_archives([tmp_path / "new"])] == ["e-00000002"]
    deleted_beside(prefix)
    assert outcomes(prefix, tmp_path / "new") == ["restored", "restored", "was there"]
    assert (tmp_path / "new" / url.parent.name / url.name).read_bytes() == b'{"event":3}\n'


def test_later_deletions_arrive_where_the_archive_is(prefix: ObjectUrl, tmp_path: Path) -> None:
    assert outcomes(prefix, tmp_path / "new") == ["restored", "restored"]
    first = find_archives([tmp_path / "new"])[0]
    (tmp_path / "new" / "moved").mkdir()
    first.rename(tmp_path / "new" / "moved" / first.name)
    (tmp_path / "new" / "moved" / "one-00000001.deleted").write_bytes(b'{"event":1}\n')
    deleted_beside(prefix)
    assert outcomes(prefix, tmp_path / "new") == ["restored", "was there", "was there"]
    (found,) = (tmp_path / "new").rglob("*.deleted")
    assert found.read_bytes() == b'{"event":1}\n{"event":3}\n'
    assert found.parent.name == "moved"
