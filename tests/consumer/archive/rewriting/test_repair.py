"""`deedbox repair` and `deedbox compact` hide no loss, and `deedbox verify` names it after them: through the command line."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from codec import archive as container
from codec import parts
from codec.gap import Gap
from consumer.archive.checking.verify import verify_archive
from consumer.archive.listing import find_archives
from consumer.archive.reading.reader import ArchiveFile, Seal
from consumer.archive.rewriting.repair import repair_sealed
from consumer.disk.durable import Disk
from tests.consumer.archive.reading.test_reader import offsets
from tests.support import archives
from tests.support.archive_logs import archive_log, some

ROOT = Path(__file__).parents[4]


def deedbox(*arguments: object) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "consumer", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, done.stdout


@pytest.fixture
def sealed(tmp_path: Path) -> list[Path]:
    """Two sealed archives of three batches each."""
    one = archive_log(tmp_path, events_max=6)
    for first in range(0, 12, 2):
        one.append(some(first, 2))
    one.roll("stop")
    return find_archives([tmp_path])


def rewrite(path: Path, raw: bytes) -> None:
    path.chmod(0o640)
    path.write_bytes(raw)


def gaps(path: Path) -> list[Gap]:
    with ArchiveFile(path) as archive:
        end = list(archive.parts())[-1]
    assert isinstance(end, Seal)
    return end.footer.gaps


@pytest.mark.parametrize("which", [0, 1], ids=["before another", "newest"])
@pytest.mark.parametrize("cut", [0, 5], ids=["between batches", "in a batch"])
def test_a_sealed_archive_that_was_cut_at_its_end_is_not_complete_after_repair(
    sealed: list[Path], tmp_path: Path, which: int, cut: int
) -> None:
    """How much is lost is known from the head of the next archive, or from the ledger."""
    path = sealed[which]
    rewrite(path, path.read_bytes()[: offsets(path)[1] + cut])
    status, report = deedbox("repair", tmp_path)
    assert (status, "4 events lost from event 2 on" in report) == (0, True)
    assert [(gap.first_event, gap.events) for gap in gaps(path)] == [(2, 4)]
    status, report = deedbox("verify", tmp_path)
    assert (status, "before a repair, 4 events lost from event 2 on" in report) == (1, True)
    assert "4 known to be lost" in report
    assert deedbox("repair", tmp_path)[1].startswith("nothing to do; `deedbox verify` reports")


def test_a_sealed_archive_that_was_cut_and_that_nothing_counts_is_not_complete_after_repair(
    sealed: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    copy = tmp_path_factory.mktemp("copy")
    path = copy / sealed[0].name
    path.write_bytes(sealed[0].read_bytes()[: offsets(sealed[0])[1]])
    deedbox("repair", copy)
    assert [(gap.first_event, gap.events) for gap in gaps(path)] == [(2, None)]
    assert deedbox("verify", copy)[0] == 1


def test_a_removed_batch_is_a_gap_after_repair_and_after_compact(sealed: list[Path], tmp_path: Path) -> None:
    path = sealed[0]
    raw, at = path.read_bytes(), offsets(path)
    rewrite(path, raw[: at[1]] + raw[at[2] :])
    assert deedbox("delete", "id-0", tmp_path)[0] in (0, 1)
    status, report = deedbox("compact", tmp_path)
    assert (status, "repair it first" in report) == (1, True)
    deedbox("repair", tmp_path)
    assert [(gap.kind, gap.first_event, gap.events) for gap in gaps(path)] == [("missing", 2, 2)]
    assert deedbox("compact", tmp_path)[0] == 0
    assert [(gap.kind, gap.first_event, gap.events) for gap in gaps(path)] == [("missing", 2, 2)]
    status, report = deedbox("verify", tmp_path)
    assert (status, "before a repair, 2 events lost from event 2 on: missing" in report) == (1, True)
    assert report.count("2 events before event 4") == 1, "one loss is named once"


def test_a_second_repair_keeps_the_gap_of_the_first(sealed: list[Path], tmp_path: Path) -> None:
    path = sealed[0]
    raw, at = path.read_bytes(), offsets(path)
    rewrite(path, raw[: at[1]] + raw[at[2] :])
    deedbox("repair", tmp_path)
    raw = bytearray(path.read_bytes())
    raw[offsets(path)[0] + 100] ^= 1
    rewrite(path, bytes(raw))
    deedbox("repair", tmp_path)
    assert sorted(gap.first_event or 0 for gap in gaps(path)) == [0, 2]


def test_committed_batches_that_an_open_archive_lost_are_a_gap_after_recovery(tmp_path: Path) -> None:
    """The watermark counts them."""
    one = archive_log(tmp_path)
    receipts = [one.append(some(first, 2)) for first in (0, 2, 4)]
    assert one.writer is not None
    one.writer.abandon()
    with one.writer.path.open("r+b") as file:
        file.truncate(receipts[0].bytes)
    deedbox("repair", tmp_path)
    (path,) = find_archives([tmp_path])
    assert [(gap.first_event, gap.events) for gap in gaps(path)] == [(2, 4)]
    assert deedbox("verify", tmp_path)[0] == 1


@pytest.mark.parametrize("cut", [1, 9, 30, 60])
def test_a_power_cut_inside_the_seek_table_is_no_loss(tmp_path: Path, cut: int) -> None:
    """All events are there: recovery writes the end again."""
    one = archive_log(tmp_path)
    for first in (0, 2, 4):
        one.append(some(first, 2))
    assert one.writer is not None
    name = one.writer.path
    one.roll("stop")
    (path,) = find_archives([tmp_path])
    name.write_bytes(path.read_bytes()[:-cut])
    path.unlink()
    deedbox("repair", tmp_path)
    assert deedbox("verify", tmp_path)[0] == 0
    assert archives.events(tmp_path) == some(0, 6)


def test_a_damaged_seek_table_is_repaired_without_a_gap(sealed: list[Path], tmp_path: Path) -> None:
    raw = bytearray(sealed[0].read_bytes())
    raw[-20] ^= 1
    rewrite(sealed[0], bytes(raw))
    assert deedbox("verify", tmp_path)[0] == 1
    deedbox("repair", tmp_path)
    assert deedbox("verify", tmp_path)[0] == 0


def test_a_compacted_archive_that_is_repaired_raises_no_false_alarm(sealed: list[Path], tmp_path: Path) -> None:
    """Its footer lost the number of removed events and the digest of the original."""
    deedbox("delete", "id-1", tmp_path)
    assert deedbox("compact", tmp_path)[0] == 0
    raw = bytearray(sealed[0].read_bytes())
    raw[-20] ^= 1  # the seek table
    rewrite(sealed[0], bytes(raw))
    deedbox("repair", tmp_path)
    status, report = deedbox("verify", tmp_path)
    assert (status, "1 removed" in report) == (0, True)


@pytest.mark.parametrize("part", ["head", "end"])
def test_an_archive_of_a_newer_version_is_left_alone(
    sealed: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    path = sealed[0]
    raw = path.read_bytes()
    monkeypatch.setattr(parts, "VERSION", 2)
    if part == "head":
        newer = container.encode_head(container.Head("one", 1, 0, "")) + raw[offsets(path)[0] :]
    else:
        newer = raw[: offsets(path)[2]] + parts.encode_part(parts.PartKind.FOOTER, b"of a later version")
    monkeypatch.undo()
    rewrite(path, newer)
    for options in ([], ["--dry-run"]):
        status, report = deedbox("repair", *options, tmp_path)
        assert (status, "format version 2" in report) == (1, True)
    assert path.read_bytes() == newer
    assert not list(tmp_path.rglob("*.damaged"))


def test_a_link_to_an_archive_is_not_replaced_by_a_file(sealed: list[Path], tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(sealed[0].read_bytes()[:-50])
    sealed[0].unlink()
    sealed[0].symlink_to(elsewhere)
    status, report = deedbox("repair", tmp_path)
    assert (status, "is a symbolic link" in report) == (1, True)
    assert sealed[0].is_symlink()


class InterruptingDisk(Disk):
    """Before the second append, `then` is done: what another process does meanwhile."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__()
        self.then, self.appends = then, 0

    def append(self, fd: int, raw: bytes) -> None:
        self.appends += 1
        if self.appends == 2:
            self.then()
        super().append(fd, raw)


def test_two_repairs_of_one_archive_at_a_time_put_no_half_of_a_file_in_its_place(sealed: list[Path]) -> None:
    path = sealed[0]
    raw = path.read_bytes()
    rewrite(path, raw[: offsets(path)[1]] + b"damage" + raw[offsets(path)[1] :])
    report: list[str] = []

    def ends_half_way() -> None:
        raise KeyboardInterrupt

    def other() -> None:
        with suppress(KeyboardInterrupt):
            report.append(repair_sealed(InterruptingDisk(ends_half_way), path).reason)

    assert repair_sealed(InterruptingDisk(other), path).outcome == "repaired"
    assert (verify_archive(path).state, verify_archive(path).events) == ("sealed", 6)
    assert report == ["another process repairs or compacts it, or deletes from it: try again when it has ended"]


@pytest.mark.parametrize("damaged", [(0,), (1,), (0, 1), (0, 1, 2)], ids=str)
def test_a_batch_whose_header_is_damaged_and_whose_frame_is_whole_is_kept(
    sealed: list[Path], tmp_path: Path, damaged: tuple[int, ...]
) -> None:
    """The index has a copy of each header. By it `search` found the events that `repair` dropped."""
    raw = bytearray(sealed[0].read_bytes())
    for number in damaged:
        at = offsets(sealed[0])[number] + 20
        raw[at : at + 4] = b"XXXX"
    rewrite(sealed[0], bytes(raw))
    status, report = deedbox("repair", tmp_path)
    assert (status, report.splitlines()[0].split(":")[0]) == (0, "repaired")
    assert archives.events(tmp_path) == some(0, 12)
    assert deedbox("verify", tmp_path)[0] == 0
    assert gaps(find_archives([tmp_path])[0]) == []


def test_for_an_archive_without_a_whole_batch_repair_names_the_next_step(sealed: list[Path], tmp_path: Path) -> None:
    rewrite(sealed[1], sealed[1].read_bytes()[: offsets(sealed[1])[0] + 10])
    status, report = deedbox("repair", tmp_path)
    assert status == 1
    assert "move the file out of the directory" in report
    sealed[1].rename(tmp_path.parent / f"{tmp_path.name}-{sealed[1].name}")
    assert deedbox("verify", tmp_path)[0] == 1
    assert deedbox("verify", "--acknowledge", "--reason", "no copy", tmp_path)[0] == 0
    assert deedbox("verify", tmp_path)[0] == 0
