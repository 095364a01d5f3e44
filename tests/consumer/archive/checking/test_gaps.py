"""The classes of gaps as a pure function of digests and places. `test_verify_places` drives them through archives."""

from pathlib import Path

import msgspec

from codec.digest import LOCAL, RetiredArchive
from consumer.archive.checking.gaps import archive_gaps, digest_gaps
from consumer.archive.checking.place import Place
from consumer.archive.digests.chain import InstanceChain
from consumer.archive.naming import ArchiveId
from consumer.objects.url import ObjectUrl
from tests.codec.test_digest import ARCHIVE, BEFORE

ONE = ArchiveId("one", 1)
URLS = (ObjectUrl("s3", "b"), ObjectUrl("s3", "c"))


def gaps(present: tuple[bool, ...], listed_at: set[int], *retired: tuple[str, tuple[str, ...]]) -> list[str]:
    """The gaps of an archive: `present` in the directory and at the destinations; listed by the digests at these places."""
    places = [Place(Path("d"), True, LOCAL, frozenset({"one"})), *(Place(url, False, str(url)) for url in URLS)]
    places = places[: len(present)]
    for place, is_there in zip(places, present, strict=True):
        place.present = {ONE} if is_there else set()
    rows = [
        RetiredArchive(path="x", sequence=1, sha256="ab" * 32, where=where, kept=kept, time_us=0)
        for where, kept in retired
    ]
    chain = InstanceChain("one", listed_at={place: {1} for place in listed_at}, retired={1: rows})
    if listed_at:
        chain.listed = {1: [(1, msgspec.structs.replace(ARCHIVE, sequence=1))]}
    return [f"{found.place} {found.gap}" for found in archive_gaps(places, [chain])]


def test_the_class_of_each_gap() -> None:
    assert gaps((True, True), {0, 1}) == []
    assert gaps((True, False), {0}) == ["1 delayed"]
    assert gaps((True, False), set()) == ["1 delayed"]
    assert gaps((True, False), {0, 1}) == ["1 delayed"]  # it was removed there, and is shipped again
    assert gaps((False, True), {0, 1}) == ["0 elsewhere"]
    assert gaps((False, True), {1}) == ["0 elsewhere"]  # the digest is gone too
    assert gaps((False, True), set()) == []  # nothing says that it was in the directory
    assert gaps((False, False), {0}) == ["0 lost"]
    assert gaps((False, False), {1}) == ["0 lost"]
    assert gaps((False, True), {0, 1}, (LOCAL, ("s3://b",))) == ["0 retired"]
    assert gaps((False,), {0}, (LOCAL, ("s3://b",))) == ["0 retired"]
    assert gaps((False, False), {0, 1}, (LOCAL, ("s3://b",))) == ["0 lost"]
    assert gaps((False, False), {0, 1}, (LOCAL, ("s3://b",)), ("s3://b", ())) == ["0 retired", "1 retired"]
    assert gaps((False, False), {0, 1}, (LOCAL, ())) == ["0 lost"]  # a digest that is there lists it: it was shipped
    assert gaps((False, False), {0}, (LOCAL, ())) == ["0 retired"]
    assert gaps((False, False), {0}, (LOCAL, ("s3://b",))) == ["0 lost"]  # the destination lost its digests too
    assert gaps((False, False), set(), (LOCAL, ("s3://b",))) == []  # no digest lists it
    assert gaps((False, False, True), {0, 1, 2}, (LOCAL, ("s3://b", "s3://c"))) == ["0 retired", "1 elsewhere"]
    assert gaps((False, True, False), {0, 1, 2}, (LOCAL, ("s3://b",))) == ["0 retired", "2 retired"]  # added later
    assert gaps((True, True, False), {0, 1}) == ["2 delayed"]


def test_a_directory_of_another_instance_owes_nothing() -> None:
    places = [Place(Path("d"), True, LOCAL, frozenset({"two"})), Place(URLS[0], False, "s3://b", present={ONE})]
    chain = InstanceChain("one", listed={1: [(1, ARCHIVE)]}, listed_at={1: {1}})
    assert list(archive_gaps(places, [chain])) == []


def test_digests_that_one_place_lacks_are_named() -> None:
    chain = InstanceChain("one", digests=dict.fromkeys((1, 2, 3), BEFORE), held={0: {1, 2, 3}, 1: {1, 2}})
    places = [Place(Path("d"), True, LOCAL, present={ONE}), Place(URLS[0], False, "s3://b", present={ONE})]
    (found,) = digest_gaps(places, [chain])
    assert (str(found.path), found.gap) == ("s3://b/digests/one/00000003.digest", "delayed")
    chain.held = {0: {1, 3}, 1: {2, 3}}
    assert [(found.place, str(found.gap), found.path.name) for found in digest_gaps(places, [chain])] == [
        (0, "elsewhere", "00000002.digest"),
        (1, "elsewhere", "00000001.digest"),
    ]
