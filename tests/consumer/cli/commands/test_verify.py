"""`verify` as a user runs it."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from consumer.archive.checking.verdict import Verdict
from consumer.archive.digests.making import make_due
from consumer.archive.digests.signing import init_key, load_key
from consumer.archive.listing import find_archives
from consumer.cli.commands.verify import Options, verify_archives
from consumer.disk.durable import Disk
from consumer.errors import Exit
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from tests.consumer.archive.reading.test_reader import offsets
from tests.support.archive_logs import archive_log, some
from tests.support.command_line import deedbox
from tests.support.s3 import S3


def test_verify_prints_json_lines(directory: Path) -> None:
    lines = [
        orjson.loads(line)
        for line in deedbox("verify", directory, "--format", "jsonl", "--workers", 2).stdout.splitlines()
    ]
    assert [(line["id"], line["events"], line["state"], line["faults"]) for line in lines] == [
        ("one-00000001", 50, "sealed", []), ("one-00000002", 50, "open", []),
    ]  # fmt: skip


def sealed(directory: Path, archives: int = 3) -> Path:
    log = archive_log(directory)
    for first in range(0, 10 * archives, 10):
        log.append(some(first, 4))
        log.roll("count")
    return directory


def test_the_document_and_the_exit_status_are_for_cron(tmp_path: Path) -> None:
    directory = sealed(tmp_path / "archive")
    done = deedbox("verify", directory, "--format", "json")
    found = orjson.loads(done.stdout)
    assert (done.returncode, found["complete"], found["archives"], found["proof"]["deep"]) == (0, True, 3, 3)
    find_archives([directory])[1].unlink()
    done = deedbox("verify", directory, "--format", "json")
    found = orjson.loads(done.stdout)
    assert (done.returncode, found["complete"]) == (1, False)
    assert [(one["archive"], one["code"]) for one in found["faults"]] == [("one-00000003", "archive_missing")]


def test_verify_says_whether_it_proved_with_digests_or_without(tmp_path: Path) -> None:
    directory, key = sealed(tmp_path / "archive"), tmp_path / "key"
    (tmp_path / "key.pub").write_text(init_key(Disk(), key))
    assert "without digests: one: the removal of the newest archives" in deedbox("verify", directory).stdout
    make_due(Disk(), directory, 1_764_000_000_000_000, 3_600_000_000, load_key(key))
    done = deedbox("verify", directory, "--public-key", tmp_path / "key.pub")
    assert done.returncode == 0
    line = "with digests: one: every archive that was sealed until 2025-11-24T16:00:00.000000Z was looked for (1 digest, signed)"
    assert line in done.stdout
    (tmp_path / "other.pub").write_text(init_key(Disk(), tmp_path / "other"))
    done = deedbox("verify", directory, "--public-key", tmp_path / "other.pub")
    assert done.returncode == 1
    assert "digest 1 of one: signed with key" in done.stdout
    for path in find_archives([directory]):
        path.unlink()
    for suffix in (".ledger", ".committed"):
        (directory / f"one{suffix}").unlink()
    done = deedbox("verify", directory)
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stdout.splitlines() if "missing" in line and "DAMAGED" in line] == [
        "DAMAGED"
    ] * 3


def test_a_light_check_reads_heads_and_footers_only(tmp_path: Path) -> None:
    directory = sealed(tmp_path / "archive")
    path = find_archives([directory])[1]
    raw = bytearray(path.read_bytes())
    raw[offsets(path)[0] + 120] ^= 1
    path.chmod(0o600)
    path.write_bytes(raw)
    done = deedbox("verify", directory, "--no-deep")
    assert done.returncode == 0
    assert "not deep: the heads and footers of 3 archives were read; --deep also decodes every batch" in done.stdout
    assert "duplicates not counted" in done.stdout.splitlines()[-1]
    assert deedbox("verify", directory).returncode == 1


def test_a_budget_proves_a_part_a_run_and_remembers(tmp_path: Path) -> None:
    """restic#1497: a full read takes days. Three runs read everything once, and the damage is found in one of them."""
    directory = sealed(tmp_path / "archive")
    path = find_archives([directory])[1]
    raw = bytearray(path.read_bytes())
    raw[offsets(path)[0] + 120] ^= 1
    path.chmod(0o600)
    path.write_bytes(raw)
    runs = [deedbox("verify", directory, "--deep", "--budget", "1000B") for _ in range(4)]
    assert [run.returncode for run in runs] == [0, 1, 1, 1]  # what was found stays found
    assert "budget: 2 archives not read as a whole yet" in runs[0].stdout
    assert "budget: 0 archives not read as a whole yet" in runs[2].stdout


def test_the_document_of_a_run_with_a_url(tmp_path: Path, bucket: ObjectUrl, seaweedfs: S3) -> None:
    directory = sealed(tmp_path / "archive")
    make_due(Disk(), directory, 1_800_000_000_000_000, 3_600_000_000)
    for path in [*find_archives([directory])[:2], *directory.glob("digests/*/*.digest")]:
        store_of(bucket).put(bucket / f"p/{path.relative_to(directory)}", path.read_bytes(), {})
    found = verified(seaweedfs, directory, f"{bucket}/p")
    assert (found["complete"], found["archives"], found["copies"], found["gap_counts"]["delayed"]) == (True, 3, 2, 1)
    assert (found["proof"]["deep"], found["proof"]["heads_and_footers"]) == (0, 5)
    found = verified(seaweedfs, f"{bucket}/p")
    assert [(one["archive"], one["code"]) for one in found["faults"]] == [("one-00000003", "archive_missing")]
    found = verified(seaweedfs, directory, f"{bucket}/p", "--deep")
    assert (found["complete"], found["proof"]["deep"]) == (True, 5)


def test_a_url_without_an_archive_is_named(tmp_path: Path, bucket: ObjectUrl, seaweedfs: S3) -> None:
    """A misspelled prefix looks as if nothing was shipped yet."""
    directory = sealed(tmp_path / "archive")
    command = [sys.executable, "-m", "consumer", "verify", str(directory), f"{bucket}/wrong"]
    env = os.environ | seaweedfs.environ()
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert f"{bucket}/wrong: no archive is there; if archives were shipped to it, correct the URL" in done.stderr
    assert done.stdout.splitlines()[-1].startswith("complete: 3 archives, ")


def verified(server: S3, *arguments: object) -> dict[str, Any]:
    command = [sys.executable, "-m", "consumer", "verify", *map(str, arguments), "--format", "json"]
    done = subprocess.run(
        command, env=os.environ | server.environ(), capture_output=True, text=True, timeout=60, check=False
    )
    found: dict[str, Any] = orjson.loads(done.stdout or done.stderr)
    assert done.returncode == (0 if found["complete"] else 1)
    return found


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--budget", "1GB"], "--budget works only with --deep"),
        (["--deep", "--budget", "much"], "expected a number of bytes"),
        (["--public-key", "/nowhere"], "public key /nowhere: No such file"),
    ],
)
def test_other_options_are_errors_of_the_command_line(tmp_path: Path, arguments: list[str], reason: str) -> None:
    done = deedbox("verify", tmp_path, *arguments)
    assert (done.returncode, reason in done.stderr) == (2, True)


class Elsewhere(ThreadPoolExecutor):
    """Another machine, on which all archives have the same device and inode."""

    remote = True

    def submit(self, fn: Callable[..., list[Verdict]], *args: object) -> "Future[list[Verdict]]":  # type: ignore[override]  # one call
        def call() -> list[Verdict]:
            return [replace(verdict, file=(1, 1)) for verdict in fn(*args)]

        return super().submit(call)


def test_the_file_of_a_verdict_is_that_of_this_machine(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By device and inode, an archive that was sealed meanwhile is checked once. Those of another machine may name another file."""
    monkeypatch.setattr("consumer.cli.commands.verify.workers", lambda *_: Elsewhere(2))
    assert verify_archives([directory], Options(workers=2)) is Exit.OK
    assert "complete: 2 archives, 100 events" in capsys.readouterr().out
