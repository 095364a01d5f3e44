from pathlib import Path

from consumer.archive.checking.fault_code import FaultCode
from consumer.archive.checking.report import KNOWS_MORE, print_text, show_repairs, show_verdicts
from consumer.archive.checking.verdict import ArchiveState, Verdict
from consumer.archive.listing import find_archives
from consumer.archive.rewriting.repair import NOTHING_LEFT
from tests.consumer.archive.reading.test_reader import offsets
from tests.support.archive_logs import archive_log, forget, some


def orphan(directory: Path, cut: int = 0) -> Path:
    one = archive_log(directory)
    one.append(some(0, 3))
    one.append(some(3, 2))
    assert one.writer is not None
    one.writer.abandon()
    forget(directory)
    path = one.writer.path
    path.write_bytes(path.read_bytes()[: -cut or None])
    return path


def test_verify_ends_with_the_sum(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 3))
    one.roll("stop")
    lines: list[str] = []
    assert show_verdicts([tmp_path], lines.append)
    assert lines[0].startswith("ok      sealed             3 events")
    assert lines[-1].startswith("complete: 1 archive, 3 events, 0 marked as duplicates")


def test_an_archive_with_acknowledged_faults_is_not_called_ok(tmp_path: Path) -> None:
    verdict = Verdict(tmp_path)
    verdict.state = ArchiveState.SEALED
    verdict.fault(FaultCode.GAP, 0, "gone")
    verdict.faults, verdict.acknowledged = [], verdict.faults
    lines: list[str] = []
    print_text(verdict, lines.append)
    assert lines[0].startswith("known ")


def test_verify_of_nothing_proves_nothing(tmp_path: Path) -> None:
    lines: list[str] = []
    assert not show_verdicts([tmp_path], lines.append)
    assert lines[-1].startswith("nothing found")


def test_a_dry_run_reports_a_repair_and_changes_nothing(tmp_path: Path) -> None:
    path = orphan(tmp_path, cut=5)
    before = path.read_bytes()
    lines: list[str] = []
    assert show_repairs([tmp_path], dry_run=True, print_line=lines.append)
    assert lines[0] == f"would be sealed: {path}: 3 events"
    assert "torn" in lines[1]
    assert path.read_bytes() == before


def test_a_second_repair_has_nothing_to_do(tmp_path: Path) -> None:
    path = orphan(tmp_path, cut=5)
    lines: list[str] = []
    assert show_repairs([tmp_path], dry_run=False, print_line=lines.append)
    assert not path.exists()
    sealed = find_archives([tmp_path])[0]
    assert lines[0] == f"sealed: {path} -> {sealed}: 3 events"
    assert show_verdicts([tmp_path], lambda _: None)
    lines.clear()
    assert show_repairs([tmp_path], dry_run=False, print_line=lines.append)
    assert lines == [f"nothing to do; {KNOWS_MORE}"]


def test_a_repair_that_cannot_see_a_loss_names_the_command_that_can(tmp_path: Path) -> None:
    """For a directory from which an archive is missing, it reported only that there is nothing to do."""
    one = archive_log(tmp_path)
    for first in (0, 2, 4):
        one.append(some(first, 2))
        one.roll("test")
    find_archives([tmp_path])[1].unlink()
    lines: list[str] = []
    assert show_repairs([tmp_path], dry_run=True, print_line=lines.append)
    assert lines == ["nothing to do; `deedbox verify` reports whether archives or events are missing"]
    assert not show_verdicts([tmp_path], lambda _: None)


def test_repair_does_not_change_an_archive_that_a_process_is_writing(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 1))
    lines: list[str] = []
    show_repairs([tmp_path], dry_run=False, print_line=lines.append)
    show_repairs([tmp_path], dry_run=True, print_line=lines.append)
    assert [line.partition(":")[0] for line in lines if "open" in line] == ["held", "held"]


def test_a_file_without_a_whole_batch_cannot_be_repaired(tmp_path: Path) -> None:
    foreign = tmp_path / "20251121T161500.000000Z-20251121T161500.000000Z-one-00000001.kvp.zst"
    foreign.write_bytes(b"foreign" * 100)
    lines: list[str] = []
    assert not show_repairs([tmp_path], dry_run=False, print_line=lines.append)
    assert not show_repairs([tmp_path], dry_run=True, print_line=lines.append)
    assert [line.partition(":")[0] for line in lines if NOTHING_LEFT in line] == [
        "not repaired",
        "would not be repaired",
    ]
    assert lines[-1] == f"not everything could be repaired; {KNOWS_MORE}"


def verdicts(*paths: Path) -> list[str]:
    lines: list[str] = []
    show_verdicts(list(paths), lines.append)
    return lines


def three_batches(place: Path) -> Path:
    one = archive_log(place)
    for first in range(0, 6, 2):
        one.append(some(first, 2))
    one.roll("test")
    (path,) = find_archives([place])
    path.chmod(0o640)
    return path


def test_a_sealed_archive_that_was_cut_is_truncated_and_not_orphaned(tmp_path: Path) -> None:
    path = three_batches(tmp_path)
    path.write_bytes(path.read_bytes()[: offsets(path)[2]])
    assert verdicts(path)[0].split()[:2] == ["DAMAGED", "truncated"]


def test_a_path_where_nothing_is_is_an_error_and_no_damage(tmp_path: Path) -> None:
    first, fault, _ = verdicts(tmp_path / "nothing")
    assert first.split()[:2] == ["ERROR", "unreadable"]
    assert fault.endswith("No such file or directory")


def test_a_damaged_stretch_and_the_sum_say_how_many_events_are_lost(tmp_path: Path) -> None:
    path = three_batches(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[offsets(path)[1] + 100] ^= 1
    path.write_bytes(raw)
    assert any("2 events lost" in line for line in verdicts(path)[1:-1])
    assert "2 known to be lost" in verdicts(path)[-1]
