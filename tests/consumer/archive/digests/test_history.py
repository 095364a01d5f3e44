import os
from collections.abc import Callable
from pathlib import Path

import pytest

from codec.digest import LOCAL, StoredDigest
from consumer.archive.digests import files
from consumer.archive.digests.history import History, history, retired
from consumer.archive.digests.making import Retirement, make_due, retire
from consumer.archive.naming import ArchiveId
from consumer.disk.durable import Disk
from consumer.errors import DeedboxError
from tests.support.archive_logs import archive_log, some

HOUR_US = 3_600_000_000
NOW_US = 1_800_000_000_000_000


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """Three digests of one instance, the third without archives."""
    one = archive_log(tmp_path)
    made = []
    for hour, count in enumerate((2, 4, 0)):
        if count:
            one.append(some(10 * hour, count))
            one.roll("count")
        made += make_due(Disk(), tmp_path, NOW_US + hour * HOUR_US, HOUR_US)
    return made


def damage(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def test_a_chain_is_read_in_order(three: list[Path], tmp_path: Path) -> None:
    assert [one.digest.number for one in history(tmp_path, "one")] == [1, 2, 3]
    found = History.read(tmp_path, "one")
    assert found.last == files.read_digest(three[-1])
    assert sorted(found.listed) == [1, 2]


@pytest.mark.parametrize(
    "change",
    [
        lambda paths: damage(paths[2], lambda raw: raw[:-9]),
        lambda paths: paths[2].rename(paths[2].with_name("00000004.digest")),
        lambda paths: damage(paths[2], lambda raw: raw.replace(b'"instance":"one"', b'"instance":"two"')),
    ],
    ids=["cut short", "renamed", "of another instance"],
)
def test_a_newest_digest_that_cannot_be_read_is_an_error(
    three: list[Path], tmp_path: Path, change: Callable[[list[Path]], object]
) -> None:
    """No digest is made after it, and nothing is retired: a second chain would hide what the first one listed."""
    change(three)
    with pytest.raises(DeedboxError, match="the newest digest cannot be read"):
        History.read(tmp_path, "one")
    with pytest.raises(DeedboxError, match="copy it from a destination"):
        make_due(Disk(), tmp_path, NOW_US + 9 * HOUR_US, HOUR_US)
    entry = Retirement(ArchiveId("one", 1), "a/b", "0" * 64, LOCAL)
    with pytest.raises(DeedboxError, match="if there is no copy, move it away"):
        retire(Disk(), tmp_path, [entry], NOW_US + 9 * HOUR_US, HOUR_US)


@pytest.mark.parametrize(
    "change",
    [Path.unlink, lambda path: damage(path, lambda raw: raw[:-9]), lambda path: path.rename(path.with_name("x"))],
    ids=["missing", "cut short", "renamed"],
)
def test_what_only_a_lost_digest_listed_is_listed_again(
    three: list[Path], tmp_path: Path, change: Callable[[Path], object]
) -> None:
    """One lost file of the past does not end the proofs of the future. `verify` reports the hole."""
    change(three[1])
    assert sorted(History.read(tmp_path, "one").listed) == [1]
    make_due(Disk(), tmp_path, NOW_US + 9 * HOUR_US, HOUR_US)
    found = list(history(tmp_path, "one"))
    assert [one.digest.number for one in found] == [1, 3, 4]
    assert [one.sequence for one in found[-1].digest.archives] == [2]
    assert found[-1].digest.previous == found[-2].sha256


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("x")])
def test_what_is_no_file_under_the_name_of_a_digest_is_a_damaged_digest(
    three: list[Path], tmp_path: Path, make: Callable[[Path], object]
) -> None:
    """In the middle it ends nothing. As the newest one it is named, and other instances have their digests."""
    three[1].unlink()
    make(three[1])
    assert sorted(History.read(tmp_path, "one").listed) == [1]
    make(three[2].with_name("00000004.digest"))
    one = archive_log(tmp_path, instance="two")
    one.append(some(0, 2))
    one.roll("count")
    with pytest.raises(DeedboxError, match=r"00000004\.digest: the newest digest cannot be read: is "):
        make_due(Disk(), tmp_path, NOW_US + 9 * HOUR_US, HOUR_US)
    assert sorted(History.read(tmp_path, "two").listed) == [1]


def test_what_is_retired_is_found_by_archive_and_place(three: list[Path], tmp_path: Path) -> None:
    places = [(1, LOCAL), (1, "s3://bucket/prefix"), (2, LOCAL)]
    for sequence, where in places:
        entry = Retirement(ArchiveId("one", sequence), "a/b", "0" * 64, where, ("s3://other",), "age")
        retire(Disk(), tmp_path, [entry], NOW_US + 9 * HOUR_US, HOUR_US)
    found = retired(tmp_path)
    assert set(found) == {(ArchiveId("one", sequence), where) for sequence, where in places}
    assert {(one.reason, one.kept) for one in found.values()} == {("age", ("s3://other",))}


def test_an_archive_that_is_listed_again_counts_as_it_was_listed_last() -> None:
    from tests.codec.test_digest import ARCHIVE, BEFORE, DIGEST, encode_digest, msgspec

    found = History()
    found.add(BEFORE)
    again = msgspec.structs.replace(ARCHIVE, size=99)
    digest = msgspec.structs.replace(DIGEST, archives=(again,))
    found.add(StoredDigest(digest, encode_digest(digest)))
    assert found.listed == {ARCHIVE.sequence: (99, ARCHIVE.original)}
