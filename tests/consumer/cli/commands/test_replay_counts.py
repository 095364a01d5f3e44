"""`replay --dry-run` as a user runs it. It needs no broker."""

from pathlib import Path

import pytest

from consumer.cli.commands import replay_counts
from consumer.cli.commands.replay_counts import count_messages, print_counts
from consumer.disk.durable import Disk
from consumer.errors import Exit
from consumer.query.query import Query
from consumer.replay.receipts import Receipts
from consumer.replay.report import Report
from consumer.replay.selection import Selection
from consumer.replay.target import Overrides
from tests.support.archive_logs import archive_log, event, some
from tests.support.command_line import deedbox


def test_messages_are_counted_by_exchange_and_key_and_nothing_is_written(tmp_path: Path) -> None:
    log = archive_log(tmp_path / "a")
    log.append([*some(0, 1100), event(2000)._replace(exchange="", routing_key="queue\n")])
    before = sorted((tmp_path / "a").rglob("*"))
    done = deedbox("replay", tmp_path / "a", "--dry-run", "--checkpoint", "again")
    assert done.stdout.splitlines() == [
        "exchange  routing_key  messages   bytes",
        "exchange  key             1,100  48,390",
        '""        queue\\n             1      45',
        "1101 messages, 48435 bytes would be published",
    ]
    assert (done.returncode, done.stderr) == (Exit.OK, "")
    assert sorted((tmp_path / "a").rglob("*")) == before


def test_events_with_a_receipt_are_not_counted(directory: Path) -> None:
    (archive,) = {one.archive for one in Selection([directory], Query(), Overrides().route()).take()[:50]}
    receipts = Receipts(Disk(), directory, "again")
    receipts.store({archive: range(50)})
    receipts.close()
    done = deedbox("replay", directory, "--dry-run", "--checkpoint", "again")
    assert done.stdout.splitlines()[-2:] == [
        "50 messages, 2150 bytes would be published",
        "left out: 50 events, because they have a receipt of an earlier run",
    ]
    assert deedbox("replay", directory, "--dry-run").stdout.endswith("100 messages, 4290 bytes would be published\n")


def test_what_cannot_be_published_or_read_is_listed_with_its_place(tmp_path: Path) -> None:
    log = archive_log(tmp_path / "a")
    log.append([event(0), event(1)._replace(routing_key="k" * 300)])
    log.roll("test")
    log.append(some(2, 2))
    log.roll("test")
    second = sorted((tmp_path / "a").rglob("*.zst"))[1]
    raw = second.read_bytes()
    second.chmod(0o600)
    at = raw.index(b"\x28\xb5\x2f\xfd") + 30
    second.write_bytes(raw[:at] + bytes((raw[at] ^ 1,)) + raw[at + 1 :])
    done = deedbox("replay", tmp_path / "a", "--dry-run")
    assert done.returncode == Exit.DAMAGED
    assert done.stdout.endswith("1 message, 42 bytes would be published\n")
    problem, total, unread = done.stderr.splitlines()
    assert "not publishable: one-00000001:1: exchange 'exchange', routing key 'kkk" in problem
    assert "its routing key has 300 bytes, at most 255 are allowed" in problem
    assert total == "deedbox: not published: 1 event: 1 not publishable"
    assert str(second) in unread


def test_no_archive_is_reported(tmp_path: Path) -> None:
    done = deedbox("replay", tmp_path, "--dry-run")
    assert done.stdout == "0 messages, 0 bytes would be published\n"
    assert "no archive is there" in done.stderr


def test_many_groups_need_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(replay_counts, "GROUPS_MAX", 2)
    archive_log(tmp_path).append([event(serial)._replace(routing_key=str(serial % 4)) for serial in range(8)])
    print_counts(count_messages(Selection([tmp_path], Query(), Overrides().route()).take, Report()))
    assert [line.split()[:3] for line in capsys.readouterr().out.splitlines()[1:-1]] == [
        ["…", "…", "4"], ["exchange", "0", "2"], ["exchange", "1", "2"]
    ]  # fmt: skip
