from pathlib import Path

import pytest

from codec.event import format_time
from consumer.archive.checking.check import Check, check
from consumer.archive.checking.fault_code import FaultCode
from consumer.archive.listing import find_archives
from consumer.archive.reading.reader import open_at
from consumer.archive.reading.sha256 import sha256_of
from consumer.objects.store import StoredObject
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from tests.support.archive_logs import START_US, archive_log, some
from tests.support.command_line import deedbox


@pytest.fixture
def path(tmp_path: Path) -> Path:
    log = archive_log(tmp_path / "archive")
    for first in range(0, 6, 2):
        log.append(some(first, 2))
    log.roll("stop")
    return find_archives([tmp_path / "archive"])[0]


def shipped(path: Path, **attributes: str) -> ObjectUrl:
    url = ObjectUrl("memory", path.parents[2].name, f"archive/20251121/{path.name}")
    store_of(url).put(url, path.read_bytes(), attributes)
    return url


def sha256(path: Path) -> str:
    with open_at(path) as archive:
        return sha256_of(archive)


def test_both_depths_agree_on_a_whole_archive(path: Path) -> None:
    deep, light = (check(Check(path, deep)) for deep in (True, False))
    for verdict in (deep, light):
        assert (verdict.faults, verdict.events, verdict.batches, verdict.state) == ([], 6, 3, "sealed")
    assert (deep.footer, deep.head, deep.before) == (light.footer, light.head, light.before)
    assert (deep.sha256, light.sha256) == (sha256(path), None)


@pytest.mark.parametrize("deep", [True, False], ids=["deep", "light"])
def test_an_object_is_checked_as_a_file_is(path: Path, deep: bool) -> None:
    known = sha256(path)
    verdict, expected = check(Check(shipped(path, sha256=known), deep, place=1)), check(Check(path, deep))
    assert (verdict.faults, verdict.events, verdict.footer, verdict.place) == ([], 6, expected.footer, 1)
    assert (verdict.sha256, verdict.original) == (known, known)


def test_an_attribute_that_names_other_bytes_is_a_fault_of_a_deep_check(path: Path) -> None:
    url = shipped(path, sha256="00" * 32)
    assert check(Check(url, deep=False)).faults == []
    assert [fault.code for fault in check(Check(url)).faults] == [FaultCode.ARCHIVE_CHANGED]


def test_an_object_without_attributes_is_no_fault(path: Path) -> None:
    verdict = check(Check(shipped(path), deep=False))
    assert (verdict.faults, verdict.sha256, verdict.original) == ([], None, None)


def test_what_is_gone_is_marked(path: Path) -> None:
    gone = check(Check(path.with_name("x")))
    assert (gone.vanished, [fault.code for fault in gone.faults]) == (True, [FaultCode.UNREADABLE])
    url = shipped(path)
    store_of(url).delete(url)
    assert check(Check(url, deep=False)).vanished


@pytest.mark.parametrize("deep", [True, False], ids=["deep", "light"])
def test_an_object_that_is_replaced_meanwhile_is_checked_again(
    path: Path, deep: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipper replaces an object when its archive was compacted: that is no fault."""
    url = shipped(path)
    store = store_of(url)
    head = store.head

    def replaced(url: ObjectUrl) -> tuple[StoredObject, dict[str, str]] | None:
        found = head(url)
        monkeypatch.setattr(store, "head", head)
        shipped(path, sha256=sha256(path))
        return found

    monkeypatch.setattr(store, "head", replaced)
    verdict = check(Check(url, deep))
    assert (verdict.faults, verdict.events, verdict.sha256) == ([], 6, sha256(path))


@pytest.mark.parametrize("deep", [True, False], ids=["deep", "light"])
def test_deleted_and_removed_events_are_counted_at_both_depths(path: Path, tmp_path: Path, deep: bool) -> None:
    directory = tmp_path / "archive"
    assert deedbox("delete", "id-1", directory).returncode == 0
    found = check(Check(path, deep))
    assert (found.deleted, found.removed, found.faults) == (1, 0, [])
    assert deedbox("compact", directory).returncode == 0
    found = check(Check(path, deep))
    assert (found.deleted, found.removed, found.faults) == (0, 1, [])
    assert found.rewritten_from == found.original is not None


@pytest.mark.parametrize("deep", [True, False], ids=["deep", "light"])
def test_a_tombstone_of_an_event_that_does_not_exist_is_a_fault(path: Path, deep: bool) -> None:
    head = check(Check(path)).head
    line = f'{{"head":"{head}","event":99,"id":"x","deleted":"{format_time(START_US)}"}}\n'
    (path.parent / "one-00000001.deleted").write_text(line)
    assert [fault.code for fault in check(Check(path, deep)).faults] == [FaultCode.TOMBSTONE]
