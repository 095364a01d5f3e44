"""`deedbox verify --acknowledge`: through the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from codec.gap import Gap
from consumer.archive.checking.acknowledged import is_acknowledged_loss
from consumer.archive.checking.fault_code import FaultCode
from consumer.archive.checking.verify import verify
from consumer.archive.listing import find_archives
from consumer.archive.naming import ArchiveId
from tests.consumer.archive.reading.test_reader import offsets
from tests.consumer.archive.rewriting.test_repair import deedbox, rewrite
from tests.support.archive_logs import archive_log, some


@pytest.fixture
def damaged(tmp_path: Path) -> list[Path]:
    """Three archives; the first has lost a batch, and is repaired."""
    one = archive_log(tmp_path, events_max=6)
    for first in range(0, 18, 2):
        one.append(some(first, 2))
    one.roll("stop")
    paths = find_archives([tmp_path])
    raw, at = paths[0].read_bytes(), offsets(paths[0])
    rewrite(paths[0], raw[: at[1]] + raw[at[2] :])
    deedbox("repair", tmp_path)
    assert deedbox("verify", tmp_path)[0] == 1
    return paths


def test_a_loss_that_was_acknowledged_is_shown_and_is_no_fault(damaged: list[Path], tmp_path: Path) -> None:
    status, report = deedbox("verify", "--acknowledge", "--reason", "disk 3 died", tmp_path)
    assert status == 0
    for _ in range(2):
        status, report = deedbox("verify", tmp_path)
        assert (status, "acknowledged 20" in report, "(disk 3 died)" in report) == (0, True, True)
        assert report.splitlines()[-1].startswith("complete but for ")
    lines = [json.loads(line) for line in deedbox("verify", "--format", "jsonl", tmp_path)[1].splitlines()]
    assert [line["faults"] for line in lines] == [[], [], []]
    assert sum(len(line["acknowledged"]) for line in lines) == report.count("; acknowledged")


def test_a_reason_that_is_given_later_is_recorded(damaged: list[Path], tmp_path: Path) -> None:
    """It was dropped, and nothing reported that."""
    assert deedbox("verify", "--acknowledge", tmp_path)[0] == 0
    assert "(disk 3 died)" not in deedbox("verify", tmp_path)[1]
    for _ in range(2):
        status, report = deedbox("verify", "--acknowledge", "--reason", "disk 3 died", tmp_path)
        assert (status, report.count("(disk 3 died)")) == (0, report.count("; acknowledged"))
    records = [line for path in tmp_path.rglob("*.acknowledged") for line in path.read_text().splitlines()]
    assert len(records) == 2 * report.count("; acknowledged")
    assert deedbox("verify", "--acknowledge", tmp_path)[1].count("(disk 3 died)") == report.count("; acknowledged")


def test_another_fault_of_an_acknowledged_archive_is_a_fault(damaged: list[Path], tmp_path: Path) -> None:
    deedbox("verify", "--acknowledge", tmp_path)
    raw = bytearray(damaged[0].read_bytes())
    raw[offsets(damaged[0])[0] + 100] ^= 1
    rewrite(damaged[0], bytes(raw))
    assert deedbox("verify", tmp_path)[0] == 1


def test_an_acknowledgement_holds_for_one_archive_only(damaged: list[Path], tmp_path: Path) -> None:
    deedbox("verify", "--acknowledge", tmp_path)
    (tmp_path / "other").mkdir()
    other = archive_log(tmp_path / "other", events_max=6)
    for first in range(0, 6, 2):
        other.append(some(first, 2))
    other.roll("stop")
    (path,) = find_archives([tmp_path / "other"])
    raw, at = path.read_bytes(), offsets(path)
    rewrite(path, raw[: at[1]] + raw[at[2] :])
    deedbox("repair", tmp_path / "other")
    (tmp_path / "other" / "one-00000001.acknowledged").write_bytes(
        next(tmp_path.rglob("20251121/one-00000001.acknowledged")).read_bytes()
    )
    assert deedbox("verify", tmp_path / "other")[0] == 1


def test_missing_archives_can_be_acknowledged(damaged: list[Path], tmp_path: Path) -> None:
    damaged[1].unlink()
    damaged[2].unlink()
    status, report = deedbox("verify", tmp_path)
    assert (status, "one-00000003 is missing" in report) == (1, True)
    assert deedbox("verify", "--acknowledge", tmp_path)[0] == 0
    assert deedbox("verify", tmp_path)[0] == 0


def test_an_acknowledgement_that_cannot_be_read_covers_nothing(damaged: list[Path], tmp_path: Path) -> None:
    deedbox("verify", "--acknowledge", tmp_path)
    for path in tmp_path.rglob("*.acknowledged"):
        path.write_bytes(b"junk\n{}\n")
    assert deedbox("verify", tmp_path)[0] == 1


def test_an_archive_that_is_not_sealed_is_not_acknowledged(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    receipts = [one.append(some(first, 2)) for first in (0, 2, 4)]
    assert one.writer is not None
    one.writer.abandon()
    with one.writer.path.open("r+b") as file:
        file.truncate(receipts[0].bytes)
    command = [sys.executable, "-m", "consumer", "verify", "--acknowledge", str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, "run repair first" in done.stderr) == (1, True)
    assert not list(tmp_path.rglob("*.acknowledged"))


def test_a_reason_without_an_acknowledgement_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="--reason works only with --acknowledge"):
        deedbox("verify", "--reason", "none", tmp_path)


def test_an_acknowledgement_does_not_depend_on_the_text_of_the_fault(
    damaged: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deedbox("verify", "--acknowledge", tmp_path)
    monkeypatch.setattr(Gap, "loss", "other words")
    (verdict,) = [verdict for verdict in verify([tmp_path]) if verdict.path == damaged[0]]
    assert [one.fault.reason for one in verdict.acknowledged] == ["before a repair, other words"]
    assert verdict.faults == []


def test_a_fault_is_recorded_by_its_code_and_its_place(damaged: list[Path], tmp_path: Path) -> None:
    deedbox("verify", "--acknowledge", tmp_path)
    (path,) = damaged[0].parent.glob("one-00000001.acknowledged")
    (line,) = [json.loads(line) for line in path.read_text().splitlines()]
    assert (line["code"], line["offset"]) == (FaultCode.REPAIRED_GAP, offsets(damaged[0])[1])
    assert line["detail"] == "missing 0 2 2"


def test_a_loss_has_no_offset_and_one_that_was_acknowledged_at_offset_0_is_still_known(tmp_path: Path) -> None:
    """Acknowledgements of earlier versions have the offset 0 for a fault that has no place in a file."""
    one = archive_log(tmp_path, events_max=2)
    for first in range(0, 8, 2):
        one.append(some(first, 2))
    one.roll("stop")
    find_archives([tmp_path])[1].unlink()
    status, report = deedbox("verify", tmp_path)
    assert status == 1
    assert ": archive one-00000002 is missing" in report
    assert ": at 0: " not in report
    deedbox("verify", "--acknowledge", tmp_path)
    (path,) = tmp_path.rglob("*.acknowledged")
    line = json.loads(path.read_text())
    assert line["offset"] is None
    path.write_text(json.dumps(line | {"offset": 0}) + "\n")
    assert deedbox("verify", tmp_path)[0] == 0


def test_a_loss_that_is_acknowledged_is_known_to_others(tmp_path: Path) -> None:
    """The shipper passes it by: otherwise the digest that lists it would wait for ever."""
    one = archive_log(tmp_path, events_max=2)
    for first in range(0, 8, 2):
        one.append(some(first, 2))
    one.roll("stop")
    newest = ArchiveId("one", 4)
    find_archives([tmp_path])[-1].unlink()
    assert not is_acknowledged_loss(tmp_path, newest)
    assert deedbox("verify", "--acknowledge", tmp_path)[0] == 0
    assert is_acknowledged_loss(tmp_path, newest)
    assert not is_acknowledged_loss(tmp_path, ArchiveId("one", 3))
