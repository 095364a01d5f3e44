"""Chains of digests at several places: every removal, change, duplicate or forgery of a digest is noticed."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from consumer.archive.digests.chain import ChainFaultCode, InstanceChain, find_digests, read_chains
from consumer.archive.digests.making import Retirement, make_due, retire
from consumer.archive.digests.signing import init_key, load_key, load_public_keys
from consumer.archive.listing import find_archives
from consumer.archive.location import Location
from consumer.archive.naming import ArchiveId
from consumer.disk.durable import Disk
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from tests.support.archive_logs import archive_log, some

HOUR_US = 3_600_000_000
NOW_US = 1_800_000_000_000_000
COUNT = 4


@pytest.fixture
def key(tmp_path: Path) -> Path:
    (tmp_path / "key.pub").write_text(init_key(Disk(), tmp_path / "key"))
    return tmp_path / "key"


@pytest.fixture
def local(tmp_path: Path, key: Path) -> Path:
    """An archive directory with signed digests."""
    directory = tmp_path / "archive"
    log = archive_log(directory)
    for hour in range(COUNT):
        log.append(some(10 * hour, 2))
        log.roll("count")
        make_due(Disk(), directory, NOW_US + hour * HOUR_US, HOUR_US, load_key(key))
    return directory


@pytest.fixture
def remote(local: Path, tmp_path: Path) -> Path:
    """A copy of its digests."""
    shutil.copytree(local / "digests", tmp_path / "remote" / "digests")
    return tmp_path / "remote"


def digest(directory: Path, number: int) -> Path:
    return directory / "digests" / "one" / f"{number:08d}.digest"


def damage(path: Path, old: bytes, new: bytes) -> None:
    raw = path.read_bytes()
    assert old in raw
    path.write_bytes(raw.replace(old, new))


def read(key: Path | None, *places: Location) -> InstanceChain:
    (chain,) = read_chains(places, load_public_keys([key.with_name("key.pub")]) if key else None)
    return chain


def codes(chain: InstanceChain) -> list[tuple[int, ChainFaultCode]]:
    return sorted((fault.number, fault.code) for fault in chain.faults)


def test_a_whole_chain_has_no_faults(local: Path, remote: Path, key: Path) -> None:
    for places in ([local], [remote], [local, remote]):
        chain = read(key, *places)
        assert (codes(chain), chain.signed, sorted(chain.digests)) == ([], COUNT, [1, 2, 3, 4])
        assert chain.until_us == NOW_US + 3 * HOUR_US
        assert {sequence: [number for number, _ in found] for sequence, found in chain.listed.items()} == {1: [1], 2: [2], 3: [3], 4: [4]}  # fmt: skip
        assert chain.listed_at == {place: {1, 2, 3, 4} for place in range(len(places))}


def test_digests_in_object_storage_are_read_too(local: Path, key: Path) -> None:
    url = ObjectUrl.parse("memory://digests-chain/prefix")
    for instance, number, path in find_digests(local):
        assert isinstance(path, Path)
        store_of(url).put(url / f"digests/{instance}/{number:08d}.digest", path.read_bytes(), {})
    store_of(url).put(url / "digests/one/notes.txt", b"", {})
    store_of(url).put(url / "digests/.trash/00000001.digest", b"", {})
    chain = read(key, url)
    assert (codes(chain), sorted(chain.digests)) == ([], [1, 2, 3, 4])
    digest(local, 4).unlink()
    assert read(key, local, url).held == {0: {1, 2, 3}, 1: {1, 2, 3, 4}}


MISSING, DAMAGED, CHANGED = ChainFaultCode.MISSING, ChainFaultCode.DAMAGED, ChainFaultCode.CHANGED
SIGNATURE, UNSIGNED = ChainFaultCode.SIGNATURE, ChainFaultCode.UNSIGNED


def alter(path: Path) -> None:
    """A changed count in a document that is still valid."""
    damage(path, b'"events":2', b'"events":1')


def strip(path: Path) -> None:
    path.write_bytes(path.read_bytes().split(b"\n")[0] + b"\n")


ALONE: dict[str, tuple[Callable[[Path], object], list[tuple[int, ChainFaultCode]]]] = {
    "middle removed": (lambda one: digest(one, 2).unlink(), [(2, MISSING)]),
    "first removed": (lambda one: digest(one, 1).unlink(), [(1, MISSING)]),
    "middle altered": (lambda one: alter(digest(one, 2)), [(2, SIGNATURE), (3, CHANGED)]),
    "newest altered": (lambda one: alter(digest(one, 4)), [(4, SIGNATURE)]),
    "cut short": (lambda one: digest(one, 2).write_bytes(b"{"), [(2, DAMAGED)]),
    "renamed": (lambda one: digest(one, 2).rename(digest(one, 9)), [(2, MISSING), (9, DAMAGED)]),
    "exchanged": (lambda one: shutil.copy(digest(one, 3), digest(one, 2)), [(2, DAMAGED)]),
    "newest duplicated": (lambda one: shutil.copy(digest(one, 4), digest(one, 5)), [(5, DAMAGED)]),
    "signature of the newest removed": (lambda one: strip(digest(one, 4)), [(4, UNSIGNED)]),
    "signature of another removed": (lambda one: strip(digest(one, 2)), []),  # the later signatures cover it
    "of another instance": (
        lambda one: damage(digest(one, 2), b'"instance":"one"', b'"instance":"two"'),
        [(2, DAMAGED)],
    ),
    "span": (
        lambda one: damage(digest(one, 4), b'"from_us":', b'"from_us":-'),
        [(4, CHANGED), (4, SIGNATURE)],
    ),
    "newest removed": (lambda one: digest(one, 4).unlink(), []),  # only the time of the proof shows it: test below
}


@pytest.mark.parametrize("name", ALONE)
def test_a_mutation_at_the_only_place_is_noticed(local: Path, key: Path, name: str) -> None:
    change, expected = ALONE[name]
    change(local)
    assert codes(read(key, local)) == expected


TOGETHER: dict[str, tuple[Callable[[Path], object], list[tuple[int, ChainFaultCode]]]] = {
    "middle removed": (lambda one: digest(one, 2).unlink(), []),  # the other place has it
    "newest removed": (lambda one: digest(one, 4).unlink(), []),
    "middle altered": (lambda one: alter(digest(one, 2)), [(2, CHANGED)]),
    "newest altered": (lambda one: alter(digest(one, 4)), [(4, CHANGED)]),
    "cut short": (lambda one: digest(one, 2).write_bytes(b"{"), [(2, DAMAGED)]),
    "exchanged": (lambda one: shutil.copy(digest(one, 3), digest(one, 2)), [(2, DAMAGED)]),
    "signature of the newest removed": (lambda one: strip(digest(one, 4)), []),  # the other copy has it
}


@pytest.mark.parametrize("which", [0, 1], ids=["local", "remote"])
@pytest.mark.parametrize("name", TOGETHER)
def test_a_mutation_at_one_of_two_places_is_noticed_there(
    local: Path, remote: Path, key: Path, name: str, which: int
) -> None:
    change, expected = TOGETHER[name]
    places = [local, remote]
    change(places[which])
    chain = read(key, local, remote)
    assert codes(chain) == expected
    if name.endswith("altered"):
        number = 2 if name.startswith("middle") else 4
        assert [fault.place for fault in chain.faults] == [digest(places[which], number)]
    if name.endswith("removed") and not name.startswith("signature"):
        number = 2 if name.startswith("middle") else 4
        assert [number in chain.held[place] for place in (0, 1)] == [which == 1, which == 0]


def test_without_keys_nobody_knows_which_of_two_newest_digests_is_the_right_one(local: Path, remote: Path) -> None:
    alter(digest(local, 4))
    assert [fault.place for fault in read(None, local, remote).faults] == [digest(local, 4), digest(remote, 4)]


def test_the_removal_of_the_newest_digests_shows_in_the_time_of_the_proof(local: Path, key: Path) -> None:
    digest(local, 4).unlink()
    digest(local, 3).unlink()
    assert read(key, local).until_us == NOW_US + HOUR_US


def test_a_chain_that_was_made_again_by_another_is_noticed_by_its_signatures(local: Path, key: Path) -> None:
    """Somebody with write access removes an archive and makes all digests anew."""
    shutil.rmtree(local / "digests")
    next(local.rglob("*-00000002.kvp.zst")).unlink()
    for hour in range(COUNT):
        make_due(Disk(), local, NOW_US + hour * HOUR_US, HOUR_US)
    assert [code for _, code in codes(read(key, local))] == [UNSIGNED]
    assert codes(read(None, local)) == []


def test_a_chain_whose_signing_began_later_is_covered_by_the_first_signature(tmp_path: Path, key: Path) -> None:
    directory = tmp_path / "late"
    archive_log(directory).append(some(0, 2))
    for hour, signed in enumerate((False, False, True)):
        (directory / "one.ledger").touch()
        retire(
            Disk(), directory, [Retirement(ArchiveId("one", hour + 1), "x", "0" * 64, "local")],
            NOW_US + hour * HOUR_US, HOUR_US, load_key(key) if signed else None,
        )  # fmt: skip
    assert (codes(read(key, directory)), read(key, directory).signed) == ([], 3)
    alter_retired(digest(directory, 1))
    assert codes(read(key, directory)) == [(2, CHANGED)]


def alter_retired(path: Path) -> None:
    damage(path, b'"sequence":1', b'"sequence":7')


def test_what_two_places_retire_is_known(local: Path, tmp_path: Path) -> None:
    retire(Disk(), local, [Retirement(ArchiveId("one", 1), "x", "0" * 64, "local", ("s3://b",))], NOW_US, HOUR_US)
    (entry,) = read(None, local).retired[1]
    assert (entry.where, entry.kept) == ("local", ("s3://b",))


def test_what_is_listed_after_it_was_retired_is_not_retired(local: Path) -> None:
    entries = [
        Retirement(ArchiveId("one", one), "x", "0" * 64, where) for one in (1, 2) for where in ("local", "s3://b")
    ]
    retire(Disk(), local, entries, NOW_US + 9 * HOUR_US, HOUR_US)
    assert sorted(read(None, local).retired) == [1, 2]
    find_archives([local])[1].unlink()
    make_due(Disk(), local, NOW_US + 19 * HOUR_US, HOUR_US)
    chain = read(None, local)
    assert (sorted(chain.retired), chain.named) == ([2], {"local", "s3://b"})
    retire(Disk(), local, entries, NOW_US + 19 * HOUR_US, HOUR_US)
    assert sorted(read(None, local).retired) == [1, 2]


def test_a_directory_without_digests_has_no_chain(tmp_path: Path) -> None:
    assert read_chains([tmp_path]) == []


def test_a_digest_with_a_huge_number_costs_no_time(local: Path) -> None:
    """Somebody puts one small object with a forged number: it took minutes, and memory for each absent number."""
    raw = digest(local, 4).read_bytes().split(b"\n")[0].replace(b'"number":4', b'"number":100000000000000000') + b"\n"
    digest(local, 10**17).write_bytes(raw)
    assert codes(read(None, local)) == [(5, MISSING)]
    assert "digests 5 to 99999999999999999 of one are missing" in read(None, local).faults[0].reason


@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("x")], ids=["folder", "fifo", "link"]
)
def test_what_is_no_file_is_a_damaged_digest(local: Path, make: Callable[[Path], object]) -> None:
    """Everything else is checked all the same."""
    digest(local, 2).unlink()
    make(digest(local, 2))
    assert codes(read(None, local)) == [(2, DAMAGED)]
    assert sorted(read(None, local).digests) == [1, 3, 4]
