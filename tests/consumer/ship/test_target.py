from pathlib import Path

from consumer.archive.reading.tombstones import Tombstones
from consumer.archive.rewriting.rewrite import Change, rewrite
from consumer.disk.durable import Disk
from consumer.objects.url import ObjectUrl
from consumer.ship.compare import Difference
from consumer.ship.local_archive import LocalArchive
from consumer.ship.target import Target, target_of
from tests.support.shipping import Store, seal, sha256


def put(target: Target, path: Path, attributes: bool = True) -> None:
    with LocalArchive(path, ()) as archive:
        named = archive.read_whole().attributes if attributes else {}
        target.store.put(target.url("a"), path.read_bytes(), named)


def difference(target: Target, path: Path) -> Difference:
    with LocalArchive(path, ()) as archive:
        return target.difference(archive, "a")[0]


def repack(path: Path) -> None:
    rewrite(Disk(), path, Change(Tombstones(), 1 << 20, 12))


def test_an_object_with_attributes(directory: Path, place: ObjectUrl) -> None:
    target, (path, other) = target_of(place), seal(directory, 2)
    assert difference(target, path) is Difference.ABSENT
    put(target, path)
    assert difference(target, path) is Difference.SAME
    assert difference(target, other) is Difference.OTHER
    repack(path)
    assert difference(target, path) is Difference.REWRITTEN
    put(target, path)
    assert difference(target, path) is Difference.SAME


def test_an_object_that_another_program_has_put_is_compared_by_its_content(directory: Path, place: ObjectUrl) -> None:
    target, (path, other) = target_of(place), seal(directory, 2)
    put(target, path, attributes=False)
    assert difference(target, path) is Difference.SAME
    assert difference(target, other) is Difference.OTHER
    repack(path)
    assert difference(target, path) is Difference.REWRITTEN
    put(target, path, attributes=False)
    assert difference(target, path) is Difference.SAME
    target.store.put(target.url("a"), b"something else", {})
    assert difference(target, path) is Difference.OTHER


def test_an_object_with_a_sha256_only_is_read_for_its_original(directory: Path, place: ObjectUrl) -> None:
    target, (path,) = target_of(place), seal(directory, 1)
    raw = path.read_bytes()
    repack(path)
    target.store.put(target.url("a"), path.read_bytes(), {"sha256": sha256(path)})
    assert difference(target, path) is Difference.SAME
    path.chmod(0o600)
    path.write_bytes(raw)
    assert difference(target, path) is Difference.OTHER  # the object was rewritten, the local file was not


def test_objects_are_listed_by_their_names(directory: Path, place: ObjectUrl) -> None:
    target = target_of(place)
    target.store.put(place.parent / "outside", b"", {})
    target.store.put(target.url("20251121/a"), b"", {})
    assert [name for name, _ in target.list()] == ["20251121/a"]
    assert target.facts("missing") is None


def test_a_rewriting_may_not_replace_another_archive_or_bring_anything_back(directory: Path, place: ObjectUrl) -> None:
    target, (path, other) = target_of(place), seal(directory, 2)
    put(target, path)
    found = target.facts("a")
    assert found is not None
    with LocalArchive(path, ()) as archive:
        assert target.check_replaceable(archive, found[0]) == ""
        archive.lost = 1
        assert target.check_replaceable(archive, found[0]) == "it holds events that the local file has lost"
        archive.lost, archive.removed = 0, -1
        assert "still holds" in target.check_replaceable(archive, found[0])
    with LocalArchive(other, ()) as archive:
        assert target.check_replaceable(archive, found[0]) == "it has another head"
    target.store.put(target.url("a"), path.read_bytes()[:-1], {})
    found = target.facts("a")
    assert found is not None
    with LocalArchive(path, ()) as archive:
        assert "no footer" in target.check_replaceable(archive, found[0])


def test_keys_that_a_server_lists_outside_of_the_prefix_are_left_out(place: ObjectUrl) -> None:
    class Wide(Store):
        def list(self, below: ObjectUrl) -> object:
            return self.real.list(ObjectUrl(below.scheme, below.bucket))

    store = Wide(place)
    for url in (place / "in", ObjectUrl(place.scheme, place.bucket, "out")):
        store.put(url, b"x", {})
    assert [name for name, _ in Target(store, place).list()] == ["in"]
