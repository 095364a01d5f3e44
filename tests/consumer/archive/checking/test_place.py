from pathlib import Path

from codec.digest import LOCAL, RetiredArchive
from consumer.archive.checking.place import Place, is_copy, places_of
from consumer.archive.digests.chain import InstanceChain
from consumer.archive.naming import ArchiveId
from consumer.disk.durable import Disk, held
from consumer.objects.url import ObjectUrl


def retired(where: str, *kept: str) -> InstanceChain:
    entry = RetiredArchive(path="x", sequence=1, sha256="ab" * 32, where=where, kept=kept, time_us=0)
    return InstanceChain("one", retired={1: [entry]}, named={where, *kept})


def test_a_directory_is_an_origin_and_a_url_is_a_destination(tmp_path: Path) -> None:
    (tmp_path / "one.ledger").touch()
    local, remote = places_of([tmp_path, ObjectUrl("s3", "b", "p")], [])
    assert (local.is_origin, local.name, local.instances) == (True, LOCAL, {"one"})
    assert (remote.is_origin, remote.name) == (False, "s3://b/p")


def test_a_directory_that_digests_name_is_a_destination(tmp_path: Path) -> None:
    for chain in (retired(f"file://{tmp_path}"), retired(LOCAL, f"file://{tmp_path}/sub")):
        (place,) = places_of([tmp_path], [chain])
        assert (place.is_origin, place.name) == (False, f"file://{tmp_path}")
    (tmp_path / "digests" / "one").mkdir(parents=True)
    (tmp_path / "digests" / "one" / ".lock").touch()  # digests are made here
    (place,) = places_of([tmp_path], [retired(LOCAL, f"file://{tmp_path}")])
    assert place.is_origin


def test_a_place_is_named_by_its_url_or_by_one_below_it() -> None:
    place = Place(ObjectUrl("s3", "b", "p"), False, "s3://b/p")
    assert [place.is_named(where) for where in ("s3://b/p", "s3://b/p/x", "s3://b/px", "s3://b", LOCAL)] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert Place(Path("x"), True, LOCAL).is_named("s3://b") is False


def test_the_instances_of_an_origin_are_known(tmp_path: Path) -> None:
    place = Place(tmp_path, True, LOCAL, frozenset({"one"}), {ArchiveId("two", 1)})
    assert [place.makes(name) for name in ("one", "two", "three")] == [True, True, False]
    assert not Place(tmp_path, False, "file:///x", frozenset({"one"})).makes("one")


def test_an_upload_runs_while_its_lock_is_held(tmp_path: Path) -> None:
    place, archive = Place(tmp_path, True, LOCAL), ArchiveId("one", 1)
    assert not place.is_uploading(archive)
    (tmp_path / "uploading").mkdir()
    with held(Disk(), tmp_path / "uploading" / "one-00000001"):
        assert place.is_uploading(archive)
        assert not Place(ObjectUrl("s3", "b"), False, "s3://b").is_uploading(archive)
    assert not place.is_uploading(archive)


def test_a_directory_with_digests_that_are_made_in_another_one_is_a_copy(tmp_path: Path) -> None:
    origin, copy, other = (tmp_path / name for name in ("origin", "copy", "other"))
    for place in (origin, copy):
        (place / "digests" / "one").mkdir(parents=True)
    other.mkdir()
    (origin / "digests" / "one" / ".lock").touch()
    roots = [origin, copy, other]
    assert [is_copy(root, roots) for root in roots] == [False, True, False]
    assert not is_copy(copy, [copy])
    assert [place.name for place in places_of(roots, [])] == [LOCAL, f"file://{copy}", LOCAL]


def test_a_destination_that_was_named_by_a_link_is_the_same_place(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "copy").symlink_to("disk")
    for root in ("copy", "disk"):
        (place,) = places_of([tmp_path / root], [retired(LOCAL, f"file://{tmp_path}/copy")])
        assert (place.is_origin, place.is_named(f"file://{tmp_path}/copy")) == (False, True)
