from pathlib import Path

from consumer.archive.checking.archive_check import check_archive
from consumer.archive.checking.verdict import ArchiveState
from consumer.archive.listing import find_archives
from consumer.archive.reading.reader import ArchiveFile
from consumer.archive.reading.tombstones import Tombstones
from tests.support.archive_logs import archive_log, some


def test_the_state_is_that_of_the_file(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    assert one.writer is not None
    with ArchiveFile(one.writer.path) as live:
        assert check_archive(live, Tombstones()).state is ArchiveState.OPEN
    one.writer.abandon()
    with ArchiveFile(one.writer.path) as orphaned:
        assert check_archive(orphaned, Tombstones()).state is ArchiveState.ORPHANED


def test_an_archive_with_the_name_of_a_sealed_one_needs_a_footer(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    receipt = one.append(some(0, 2))
    one.roll("stop")
    (path,) = find_archives([tmp_path])
    path.chmod(0o640)
    path.write_bytes(path.read_bytes()[: receipt.bytes])
    with ArchiveFile(path) as archive:
        verdict = check_archive(archive, Tombstones())
    assert verdict.state is ArchiveState.TRUNCATED
    assert [(fault.offset, fault.reason) for fault in verdict.faults] == [
        (receipt.bytes, "the end is missing: no footer")
    ]


def test_a_deleted_event_is_counted_and_a_tombstone_of_no_event_is_a_fault(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    one.roll("stop")
    with ArchiveFile(find_archives([tmp_path])[0]) as archive:
        verdict = check_archive(archive, Tombstones(frozenset({1, 7})))
    assert (verdict.deleted, len(verdict.faults)) == (1, 1)
    assert "event 7" in verdict.faults[0].reason
