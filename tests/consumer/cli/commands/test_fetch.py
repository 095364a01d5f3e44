"""`deedbox fetch` from SeaweedFS, with archives that `deedbox ship` has shipped."""

from pathlib import Path

import pytest

from consumer.archive.listing import find_archives
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from tests.support.archive_logs import START_US, archive_log, some
from tests.support.command_line import deedbox, ids
from tests.support.s3 import S3


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Three sealed archives of 20 events; one event is deleted."""
    log = archive_log(tmp_path / "archive")
    for first in (0, 20, 40):
        log.append(some(first, 20))
        log.roll("stop")
    assert deedbox("delete", "one-00000002:3", tmp_path / "archive").returncode == 0
    return tmp_path / "archive"


@pytest.fixture
def shipped(directory: Path, seaweedfs: S3, bucket: ObjectUrl, monkeypatch: pytest.MonkeyPatch) -> ObjectUrl:
    """The copy of the directory, which the commands reach by the usual variables."""
    for name, value in seaweedfs.environ().items():
        monkeypatch.setenv(name, value)
    prefix = bucket / "keep"
    done = deedbox("ship", directory, "--to", prefix, "--once")
    assert done.returncode == 0, done.stdout + done.stderr
    return prefix


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in find_archives([directory])}


def test_a_restored_directory_is_complete(directory: Path, shipped: ObjectUrl, tmp_path: Path) -> None:
    new = tmp_path / "new"
    done = deedbox("fetch", shipped, "--to", new)
    assert (done.returncode, done.stderr) == (0, "")
    assert contents(new) == contents(directory)
    assert all(path.stat().st_mode & 0o777 == 0o440 for path in find_archives([new]))
    verified = deedbox("verify", new)
    assert (verified.returncode, verified.stdout.splitlines()[-1].partition(":")[0]) == (0, "complete")
    assert ids(deedbox("search", new).stdout) == [f"id-{number}" for number in range(60) if number != 23]
    again = deedbox("fetch", shipped, "--to", new)
    assert (again.returncode, "all restored: 0 files restored, " in again.stdout) == (0, True)


def test_litestream_1323_a_copy_that_looks_healthy_and_cannot_be_restored(shipped: ObjectUrl, tmp_path: Path) -> None:
    """The object has its name, its size and the SHA-256 of the archive as an attribute, and other bytes."""
    damaged = find_archives([shipped])[1]
    store = store_of(damaged)
    found = store.head(damaged)
    assert found is not None
    raw = bytearray(store.get(damaged))
    raw[len(raw) // 2] ^= 1
    store.put(damaged, bytes(raw), found[1])
    done = deedbox("fetch", shipped, "--to", tmp_path / "new")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"deedbox: {damaged}: not restored: the object has SHA-256 ")
    assert [path.name[-18:-8] for path in find_archives([tmp_path / "new"])] == ["e-00000001", "e-00000003"]
    assert not list((tmp_path / "new").rglob("*.fetching"))
    assert "NOT all restored" in done.stdout.splitlines()[-1]


def test_only_archives_of_a_span_are_restored(shipped: ObjectUrl, tmp_path: Path) -> None:
    assert START_US // 10**6 == 1763741700
    done = deedbox("fetch", shipped, "--to", tmp_path / "new", "--until", "2025-11-21T16:15:00.000030Z")
    assert done.returncode == 0, done.stderr
    assert len(find_archives([tmp_path / "new"])) == 2
    assert not (tmp_path / "new" / "digests").exists()
    verified = deedbox("verify", tmp_path / "new")
    assert verified.returncode == 0, verified.stdout
    log = archive_log(tmp_path / "new")
    log.append(some(100, 1))
    log.roll("stop")
    newest = find_archives([tmp_path / "new"])[-1].name
    assert newest.endswith("-one-00000004.kvp.zst"), (
        "the sequence of an archive that was not restored is not used again"
    )


@pytest.mark.parametrize("span", [(), ("--since", "2020-01-01")], ids=["all", "span"])
def test_two_destinations_one_of_which_knows_a_deletion(
    directory: Path, shipped: ObjectUrl, bucket: ObjectUrl, tmp_path: Path, span: tuple[str, ...]
) -> None:
    for position in ("one-00000001:5", "one-00000002:4"):
        assert deedbox("delete", position, directory).returncode == 0
    assert deedbox("ship", directory, "--to", bucket / "second", "--once").returncode == 0
    done = deedbox("fetch", shipped, bucket / "second", "--to", tmp_path / "new", *span)
    assert (done.returncode, done.stderr) == (0, "")
    found = ids(deedbox("search", tmp_path / "new").stdout)
    assert found == [f"id-{number}" for number in range(60) if number not in (5, 23, 24)]


def test_a_place_without_archives_is_one_line(shipped: ObjectUrl, tmp_path: Path) -> None:
    done = deedbox("fetch", shipped / "typo", "--to", tmp_path / "new")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"deedbox: {shipped}/typo: there is no archive;")
