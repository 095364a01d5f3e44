"""The options of `replay`, as a user types them."""

from pathlib import Path

import pytest

from consumer.errors import Exit
from tests.support.archive_logs import archive_log, event
from tests.support.command_line import deedbox
from tests.support.dead_letters import dead_once


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Two exchanges, two keys, and a header."""
    log = archive_log(tmp_path / "mixed")
    header = b"\x20\0\0\0\0\x11\x07retriesl" + (3).to_bytes(8, "big")
    log.append([
        event(0)._replace(exchange="nova", routing_key="a.b"), event(1)._replace(exchange="nova", routing_key="a.c"),
        event(2)._replace(exchange="neutron", routing_key="a.b", header=header),
    ])  # fmt: skip
    return tmp_path / "mixed"


def rows(*arguments: object) -> list[list[str]]:
    done = deedbox("replay", *arguments, "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    return [line.split() for line in done.stdout.splitlines()[1:-1]]


def test_names_change_the_target_and_names_with_from_are_filters(mixed: Path) -> None:
    assert rows(mixed) == [["neutron", "a.b", "1", "42"], ["nova", "a.b", "1", "42"], ["nova", "a.c", "1", "42"]]
    assert rows(mixed, "--exchange", "copy") == [["copy", "a.b", "2", "84"], ["copy", "a.c", "1", "42"]]
    assert rows(mixed, "--routing-key", "k", "--from-exchange", "no*") == [["nova", "k", "2", "84"]]
    assert rows(mixed, "--from-routing-key", "*.c") == [["nova", "a.c", "1", "42"]]
    assert rows(mixed, "--from-header", "retries>=3", "--header", "retries=0") == [["neutron", "a.b", "1", "42"]]
    assert rows(mixed, "--where", "headers.retries=3") == [["neutron", "a.b", "1", "42"]]
    assert rows(mixed, "--to-queue", "q", "--id", "id-1") == [['""', "q", "1", "42"]]


def test_dead_letters_are_counted_by_their_origins_and_others_are_listed(mixed: Path) -> None:
    headers = [dead_once(), dead_once(), dead_once("bills", "expired", "", "bills")]
    archive_log(mixed, instance="dead").append([
        event(serial)._replace(exchange="dlx", routing_key="dead", header=header) for serial, header in enumerate(headers)
    ])  # fmt: skip
    done = deedbox("replay", mixed, "--to-origin", "--header", "try=2", "--dry-run")
    assert done.returncode == Exit.DAMAGED
    assert [line.split() for line in done.stdout.splitlines()[1:-1]] == [
        ["shop", "order.new", "2", "84"], ['""', "bills", "1", "42"]
    ]  # fmt: skip
    lines = done.stderr.splitlines()
    assert (
        lines[0]
        == "deedbox: not publishable: one-00000001:0: exchange 'nova', routing key 'a.b': was not dead-lettered"
    )
    assert lines[-1] == "deedbox: not published: 3 events: 3 not publishable"
    assert rows(mixed, "--to-origin", "--dead-lettered-from", "bills") == [['""', "bills", "1", "42"]]


def test_receipts_need_one_directory(mixed: Path) -> None:
    done = deedbox("replay", mixed / "one-00000001.kvp.zst.open", "--to-origin", "--dry-run")
    assert done.returncode == Exit.SETTINGS
    assert "receipts with the name to-origin for" in done.stderr
    assert "name one local archive directory" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--to-queue", "q", "--exchange", "x"], "--to-queue q with --exchange or --routing-key"),
        (["--to-origin", "--exchange", "x"], "--to-origin with --exchange, --routing-key or --to-queue"),
        (["--to-origin", "--to-queue", "x"], "--to-origin with --exchange, --routing-key or --to-queue"),
        (["--again"], "--again without --checkpoint or --to-origin"),
        (["--speed", "0"], "--speed 0"),
        (["--rate", "fast"], "--rate 'fast' is no rate"),
        (["--header", "a"], "--header 'a' has no name and value"),
        (["--exchange", "x" * 256], "exchange has 256 bytes"),
        (["--checkpoint", "../up"], "no name of a checkpoint"),
        (["--type", "a", "--match", "("], "is no regular expression"),
        (["--set", "broker.urll=x"], "broker.urll"),
    ],
)
def test_options_without_a_meaning_are_refused(mixed: Path, arguments: list[str], reason: str) -> None:
    done = deedbox("replay", mixed, "--dry-run", *arguments)
    if "--set" in arguments:
        done = deedbox("replay", mixed, *arguments)
    assert done.returncode == Exit.SETTINGS
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_checkpoint_needs_one_local_directory(mixed: Path, tmp_path: Path) -> None:
    (archive,) = mixed.glob("*.open")
    for paths in ([mixed, tmp_path], [archive], [tmp_path / "absent"]):
        done = deedbox("replay", *paths, "--checkpoint", "again", "--dry-run")
        assert done.returncode == Exit.SETTINGS
        assert "name one local archive directory" in done.stderr
