"""Objects in a local directory, apart from the contract of all stores."""

import errno
import os
import subprocess
import sys
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest

from consumer.objects.directory import ORPHAN_S, PART, DirectoryStore
from consumer.objects.errors import BucketMissing, NotFound, ObjectError
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from tests.support.disk import PowerCut, ShadowDisk
from tests.support.mounts import small_ext4


def test_a_missing_directory_is_not_made(tmp_path: Path) -> None:
    """Its disk may not be mounted."""
    base = ObjectUrl.of_directory(str(tmp_path / "mount"))
    with pytest.raises(BucketMissing, match="create it, or mount its disk"):
        store_of(base).put(base / "key", b"", {})
    with pytest.raises(BucketMissing):
        store_of(base).head(base / "key")
    assert not (tmp_path / "mount").exists()


@pytest.mark.parametrize("only_new", [False, True])
def test_an_object_is_durable_or_never_was_after_a_power_cut_at_any_call(tmp_path: Path, only_new: bool) -> None:
    done, fail_at, seen = False, 0, set()
    while not done:
        fail_at += 1
        before, after = tmp_path / f"before{fail_at}", tmp_path / f"after{fail_at}"
        before.mkdir()
        after.mkdir()
        base = ObjectUrl.of_directory(str(before))
        disk = ShadowDisk(before, fail_at, crash=True)
        with suppress(PowerCut):
            DirectoryStore(str(before), disk).put_stream(base / "day" / "key", [b"con", b"tent"], 7, {}, only_new)
            done = True
        disk.end_process()
        left = [path for path in disk.after_power_cut(after).rglob("*") if path.is_file() and path.suffix != PART]
        assert [(path.name, path.read_bytes()) for path in left] in ([("key", b"content")], [] if not done else None)
        seen.add((done, len(left)))
    assert fail_at > 5
    assert {(False, 0), (True, 1)} <= seen


def test_a_replaced_object_is_the_old_or_the_new_one_after_a_power_cut_at_any_call(tmp_path: Path) -> None:
    seen = set()
    for fail_at in range(1, 12):
        before, after = tmp_path / f"before{fail_at}", tmp_path / f"after{fail_at}"
        before.mkdir()
        after.mkdir()
        base = ObjectUrl.of_directory(str(before))
        disk = ShadowDisk(before)
        store = DirectoryStore(str(before), disk)
        store.put(base / "key", b"old", {})
        disk.fail_at, disk.crash = len(disk.calls) + fail_at, True
        try:
            store.put(base / "key", b"newer", {})
            expected = {b"newer"}
        except PowerCut:
            expected = {b"old", b"newer"}
        disk.end_process()
        left = (disk.after_power_cut(after) / "key").read_bytes()
        assert left in expected
        seen.add(left)
    assert seen == {b"old", b"newer"}


WRITE = """
import sys, time
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl

def chunks():
    yield b"half"
    print("half", flush=True)
    time.sleep(600)

base = ObjectUrl.of_directory(sys.argv[1])
store_of(base).put_stream(base / "key", chunks(), 8, {})
"""


def test_the_part_of_a_killed_writer_is_never_an_object_and_is_removed_later(tmp_path: Path) -> None:
    base = ObjectUrl.of_directory(str(tmp_path))
    store = store_of(base)
    with subprocess.Popen([sys.executable, "-c", WRITE, str(tmp_path)], stdout=subprocess.PIPE) as writing:
        assert writing.stdout is not None
        assert writing.stdout.readline() == b"half\n"
        (part,) = tmp_path.iterdir()
        old = time.time() - 2 * ORPHAN_S
        os.utime(part, (old, old))
        store.put(base / "other", b"", {})
        assert part.exists()  # its writer is slow, and not dead
        writing.kill()
    assert (store.head(base / "key"), [one.url.name for one in store.list(base)]) == (None, ["other"])
    store.put(base / "key", b"complete", {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "other"]


def test_a_young_part_is_kept(tmp_path: Path) -> None:
    """Its writer may not have locked it yet."""
    base = ObjectUrl.of_directory(str(tmp_path))
    (tmp_path / f".new{PART}").write_bytes(b"half")
    store_of(base).put(base / "key", b"", {})
    assert (tmp_path / f".new{PART}").exists()


def test_without_extended_attributes_the_sha256_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = ObjectUrl.of_directory(str(tmp_path))

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", refuse)
    store_of(base).put(base / "key", b"content", {"sha256": "wrong", "original": "lost"})
    found = store_of(base).head(base / "key")
    assert found is not None
    assert found[1] == {"sha256": sha256(b"content").hexdigest()}


def test_a_full_disk_leaves_no_object(tmp_path: Path) -> None:
    with small_ext4(tmp_path) as disk:
        base = ObjectUrl.of_directory(str(disk))
        with pytest.raises(ObjectError, match="No space left on device") as caught:
            store_of(base).put_stream(base / "key", (bytes(1 << 20) for _ in range(40)), 40 << 20, {})
        assert list(store_of(base).list(base)) == []
        store_of(base).put(base / "key", b"small", {})
    assert caught.value.errno == errno.ENOSPC


def test_only_regular_files_are_objects(tmp_path: Path) -> None:
    base = ObjectUrl.of_directory(str(tmp_path / "keep"))
    (tmp_path / "keep" / "folder").mkdir(parents=True)
    (tmp_path / "secret").write_text("of another program")
    (tmp_path / "keep" / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "keep" / "fifo")
    store = store_of(base)
    assert list(store.list(base)) == []
    assert store.head(base / "folder") is None
    for name in ("link", "fifo", "folder"):
        with pytest.raises(ObjectError):
            store.get(base / name)
    with pytest.raises(NotFound):
        store.get(base / "folder" / "missing")


def test_an_attribute_that_is_not_text_is_another_value(tmp_path: Path) -> None:
    base = ObjectUrl.of_directory(str(tmp_path))
    store_of(base).put(base / "key", b"content", {"sha256": "ab"})
    os.setxattr(tmp_path / "key", "user.deedbox.sha256", b"\xff\xfe")
    found = store_of(base).head(base / "key")
    assert found is not None
    assert found[1] == {"sha256": "\ufffd\ufffd"}


def test_an_object_in_a_linked_folder_is_an_error(tmp_path: Path) -> None:
    """The link may lead to the original, which is then no copy."""
    (tmp_path / "archive" / "day").mkdir(parents=True)
    (tmp_path / "archive" / "day" / "key").write_bytes(b"content")
    (tmp_path / "keep").mkdir()
    (tmp_path / "keep" / "day").symlink_to(tmp_path / "archive" / "day")
    (tmp_path / "link").symlink_to(tmp_path / "keep")
    for name in ("keep", "link"):
        base = ObjectUrl.of_directory(str(tmp_path / name))
        store, url = store_of(base), base / "day" / "key"
        for ask in (store.head, store.get, store.delete, lambda url, store=store: store.put(url, b"", {})):
            with pytest.raises(
                ObjectError, match=r"its folder day is a symbolic link.*; replace the link by a folder of its own"
            ):
                ask(url)
        assert list(store.list(base)) == []
        store.put(base / "other", b"", {})
        store.delete(base / "other")
    assert (tmp_path / "archive" / "day" / "key").read_bytes() == b"content"


def test_a_file_system_that_cannot_list_attributes_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one in user space (FUSE), which answers ENOTSUP."""
    url = ObjectUrl.of_directory(str(tmp_path)) / "key"
    store_of(url).put(url, b"content", {"sha256": "other"})

    def refuse(_fd: int) -> list[str]:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(os, "listxattr", refuse)
    found = store_of(url).head(url)
    assert found is not None
    assert found[1] == {"sha256": sha256(b"content").hexdigest()}
