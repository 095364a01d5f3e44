import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from consumer.archive.naming import parse_sealed
from consumer.archive.reading.reader import ArchiveFile
from consumer.archive.reading.tombstones import Tombstones, add_tombstones
from consumer.archive.rewriting.compact import compact
from consumer.archive.rewriting.rewrite import Change, rewrite
from consumer.disk.durable import Disk, is_held
from consumer.objects.url import ObjectUrl
from consumer.ship.local_archive import NotAsSealed
from consumer.ship.local_files import LocalFile, find_files
from consumer.ship.pacing import Bandwidth
from consumer.ship.target import Target, target_of
from consumer.ship.threads import each
from consumer.ship.upload import TRIES_MAX, Changed, NotThere, Refused, Stopped, Uploader
from consumer.ship.witnesses import Witnesses
from tests.support.shipping import Store, holds, local, seal


def uploader(
    directory: Path, place: ObjectUrl, stop: threading.Event | None = None, store: Store | None = None
) -> Uploader:
    witnesses = Witnesses(directory)
    witnesses.look(find_files(directory).archives)
    target = Target(store, place) if store else target_of(place)
    return Uploader(directory, target, witnesses, Bandwidth(0), stop or threading.Event(), lambda _: None)


def first(directory: Path) -> LocalFile:
    return find_files(directory).files[0]


def test_an_archive_is_put_once_and_verified(directory: Path, place: ObjectUrl) -> None:
    seal(directory, 1)
    file = first(directory)
    assert uploader(directory, place).find(file) is None
    shipped = uploader(directory, place).ship(file)
    assert (shipped.sent, shipped.object.size) == (file.path.stat().st_size,) * 2
    assert holds(place) == local(directory)
    assert uploader(directory, place).ship(file).sent == 0
    assert uploader(directory, place).find(file) is not None


def test_the_object_has_the_sha256_of_the_archive_and_of_its_original(directory: Path, place: ObjectUrl) -> None:
    seal(directory, 1)
    file = first(directory)
    (before,) = local(directory).values()
    uploader(directory, place).ship(file)
    found = target_of(place).facts(file.name)
    assert found is not None
    assert (found[1].sha256, found[1].original) == (before, before)


def test_an_object_of_the_same_name_with_other_content_is_never_overwritten(directory: Path, place: ObjectUrl) -> None:
    seal(directory, 1)
    file = first(directory)
    target_of(place).store.put(place / file.name, b"other content", {})
    with pytest.raises(Refused, match="an object of this name is there, and it is not this archive") as error:
        uploader(directory, place).ship(file)
    assert error.value.do
    assert target_of(place).store.get(place / file.name) == b"other content"


def test_a_compacted_archive_replaces_its_object(directory: Path, place: ObjectUrl) -> None:
    (path,) = seal(directory, 1)
    uploader(directory, place).ship(first(directory))
    with ArchiveFile(path) as archive:
        add_tombstones(Disk(), archive, [1], "id-1", "2026-11-21T00:00:00Z")
    list(compact(Disk(), [path]))
    assert holds(place) != local(directory)
    assert uploader(directory, place).ship(first(directory)).sent
    side = path.with_name(f"{parse_sealed(path)}.deleted")
    assert holds(place) == local(directory, path, side)


def test_content_that_was_removed_does_not_come_back(directory: Path, place: ObjectUrl) -> None:
    (path,) = seal(directory, 1)
    before = path.read_bytes()
    with ArchiveFile(path) as archive:
        add_tombstones(Disk(), archive, [1], "id-1", "2026-11-21T00:00:00Z")
    list(compact(Disk(), [path]))
    uploader(directory, place).ship(first(directory))
    kept = holds(place)
    path.chmod(0o600)
    path.write_bytes(before)  # a backup is put back
    with pytest.raises(Refused):
        uploader(directory, place).ship(first(directory))
    assert holds(place) == kept


def test_a_rewriting_that_holds_more_than_the_object_does_not_replace_it(directory: Path, place: ObjectUrl) -> None:
    (path,) = seal(directory, 1)
    before = path.read_bytes()
    with ArchiveFile(path) as archive:
        add_tombstones(Disk(), archive, [1], "id-1", "2026-11-21T00:00:00Z")
    list(compact(Disk(), [path]))
    uploader(directory, place).ship(first(directory))
    kept = holds(place)
    path.chmod(0o600)
    path.write_bytes(before)  # a backup is put back, and repacked
    rewrite(Disk(), path, Change(Tombstones(), 1 << 20, 12))
    with pytest.raises(Refused, match="events were removed from it that the local file still holds"):
        uploader(directory, place).ship(first(directory))
    assert holds(place) == kept


def test_a_changed_archive_makes_no_object(directory: Path, place: ObjectUrl) -> None:
    (path,) = seal(directory, 1)
    path.chmod(0o600)
    raw = bytearray(path.read_bytes())
    raw[300] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(NotAsSealed, match="SHA-256"):
        uploader(directory, place).ship(first(directory))
    assert holds(place) == {}


def test_side_files_are_replaced_when_they_differ(directory: Path, place: ObjectUrl) -> None:
    (path,) = seal(directory, 1)
    side = path.parent / f"{parse_sealed(path)}.deleted"
    side.write_text("one\n")
    file = find_files(directory).files[1]
    assert uploader(directory, place).ship(file).sent == 4
    assert uploader(directory, place).ship(file).sent == 0
    side.write_text("one\ntwo\n")
    assert uploader(directory, place).ship(file).sent == 8
    assert target_of(place).store.get(place / file.name) == b"one\ntwo\n"


def test_a_digest_with_other_content_is_never_overwritten(directory: Path, place: ObjectUrl) -> None:
    digest = directory / "digests" / "one" / "00000001.digest"
    digest.parent.mkdir(parents=True)
    digest.write_text("one\n")
    assert uploader(directory, place).ship(first(directory)).sent
    digest.write_text("two\n")
    with pytest.raises(Refused, match="it is not this digest"):
        uploader(directory, place).ship(first(directory))
    assert target_of(place).store.get(place / "digests/one/00000001.digest") == b"one\n"


def test_an_upload_that_is_stopped_makes_no_object(directory: Path, place: ObjectUrl) -> None:
    seal(directory, 1)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        uploader(directory, place, stop).ship(first(directory))
    assert holds(place) == {}


def test_other_processes_see_that_an_archive_is_being_uploaded(directory: Path, place: ObjectUrl) -> None:
    (path,) = seal(directory, 1)
    held: list[bool] = []

    class Watching(Store):
        def put_stream(self, *arguments: object) -> None:
            held.append(is_held(directory / "uploading" / str(parse_sealed(path))))
            self.real.put_stream(*arguments)

    uploader(directory, place, store=Watching(place)).ship(first(directory))
    assert held == [True]
    assert list((directory / "uploading").iterdir()) == []


def test_one_large_archive_at_a_time_so_that_memory_is_bounded(directory: Path, place: ObjectUrl) -> None:
    seal(directory, 2, events=36, size=256 << 10)
    at_work, most = 0, 0
    both = threading.Barrier(2)

    class Watching(Store):
        def put_stream(self, *arguments: object) -> None:
            nonlocal at_work, most
            at_work += 1
            most = max(most, at_work)
            self.real.put_stream(*arguments)
            at_work -= 1

    made = uploader(directory, place, store=Watching(place))

    def ship(file: LocalFile) -> None:
        both.wait(10)
        made.ship(file)

    assert len(list(each(ship, find_files(directory).files, 2))) == 2
    assert most == 1
    assert holds(place) == local(directory)


class Forgetful(Store):
    """A storage that accepts an upload and loses it, or a part of it."""

    def __init__(self, url: ObjectUrl, kept: int | None) -> None:
        super().__init__(url)
        self.kept = kept

    def put_stream(self, url, chunks, size, attributes, only_new=False) -> None:
        raw = b"".join(chunks)
        if self.kept is not None:
            self.real.put(url, raw[: self.kept], attributes)


@pytest.mark.parametrize(("kept", "reason"), [(None, "no object of this name"), (5, "has 5 bytes")])
def test_a_storage_that_loses_an_upload_is_noticed(
    directory: Path, place: ObjectUrl, kept: int | None, reason: str
) -> None:
    seal(directory, 1)
    with pytest.raises(NotThere, match=reason):
        uploader(directory, place, store=Forgetful(place, kept)).ship(first(directory))


class Late(Store):
    """A storage to which another shipper puts the object between the comparison and the put."""

    def __init__(self, url: ObjectUrl, content: bytes, attributes: dict[str, str]) -> None:
        super().__init__(url)
        self.content, self.attributes = content, attributes

    def put_stream(self, url, chunks, size, attributes, only_new=False) -> None:
        self.real.put(url, self.content, self.attributes or dict(attributes))
        self.real.put_stream(url, chunks, size, attributes, only_new)


def test_two_shippers_of_one_archive_do_no_harm(directory: Path, place: ObjectUrl) -> None:
    (path,) = seal(directory, 1)
    assert uploader(directory, place, store=Late(place, path.read_bytes(), {})).ship(first(directory)).sent == 0
    assert holds(place) == local(directory)


def test_another_object_that_appears_meanwhile_is_not_overwritten(directory: Path, place: ObjectUrl) -> None:
    seal(directory, 1)
    late = Late(place, b"other", {"sha256": "0" * 64, "original": "x"})
    with pytest.raises(Refused):
        uploader(directory, place, store=late).ship(first(directory))
    assert target_of(place).store.get(place / first(directory).name) == b"other"


class Acting(Store):
    """Calls a function after the put of an archive has begun, as often as it is put."""

    def __init__(self, url: ObjectUrl, act: Callable[[], None]) -> None:
        super().__init__(url)
        self.act = act

    def put_stream(self, url, chunks, size, attributes, only_new=False) -> None:
        if url.name.endswith(".zst"):
            self.act()
        self.real.put_stream(url, chunks, size, attributes, only_new)


def hide(path: Path, *events: int) -> None:
    with ArchiveFile(path) as archive:
        add_tombstones(Disk(), archive, events, "x", "2026-11-21T00:00:00.000000Z")


def test_an_event_that_is_deleted_while_its_archive_is_sent_is_not_visible_for_a_moment(
    directory: Path, place: ObjectUrl
) -> None:
    (path,) = seal(directory, 1)
    acts = iter([lambda: hide(path, 1), lambda: None])
    store = Acting(place, lambda: next(acts)())
    uploader(directory, place, store=store).ship(first(directory))
    assert next(acts, None) is None  # the first put made no object
    assert set(holds(place)) == {f"20251121/{path.name}", f"20251121/{parse_sealed(path)}.deleted"}


def test_an_event_that_is_deleted_during_the_last_request_is_hidden_at_once(directory: Path, place: ObjectUrl) -> None:
    (path,) = seal(directory, 1)

    class Late(Store):
        def put_stream(self, url, chunks, size, attributes, only_new=False) -> None:
            whole = list(chunks)
            if url.name == path.name:
                hide(path, 1)
            self.real.put_stream(url, whole, size, attributes, only_new)

    uploader(directory, place, store=Late(place)).ship(first(directory))
    assert set(holds(place)) == {f"20251121/{path.name}", f"20251121/{parse_sealed(path)}.deleted"}


def test_an_archive_in_which_events_are_deleted_all_the_time_is_sent_later(directory: Path, place: ObjectUrl) -> None:
    (path,) = seal(directory, 1)
    numbers = iter(range(10))
    store = Acting(place, lambda: hide(path, next(numbers)))
    with pytest.raises(Changed):
        uploader(directory, place, store=store).ship(first(directory))
    assert next(numbers) == TRIES_MAX
    assert not any(name.endswith(".zst") for name in holds(place))


def test_an_upload_that_was_stopped_for_long_does_not_bring_removed_content_back(
    directory: Path, place: ObjectUrl
) -> None:
    """The process was stopped. Meanwhile the archive was compacted, and retention removed it."""
    (path,) = seal(directory, 1)
    store = Acting(place, path.unlink)
    with pytest.raises(FileNotFoundError):
        uploader(directory, place, store=store).ship(first(directory))
    assert holds(place) == {}
