import time
from pathlib import Path

import msgspec
import pytest

from codec.digest import StoredDigest, encode_digest
from consumer.archive.digests.history import history
from consumer.archive.digests.making import Retirement, make_due, retire
from consumer.archive.naming import ArchiveId
from consumer.disk.durable import Disk
from consumer.errors import DeedboxError
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from consumer.ship.retention.digest_copies import Recorded, ship_digests
from consumer.ship.retention.places import Place
from tests.support.retention import World, upload


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def digests(world: World) -> None:
    make_due(Disk(), world.root, time.time_ns() // 1000, 0)


def ship(world: World, url: ObjectUrl) -> Recorded:
    return ship_digests(world.root, Place.look(url), ["one"])


def names(url: ObjectUrl) -> list[str]:
    return [one.url.name for one in store_of(url).list(url / "digests")]


def test_digests_go_in_order_and_only_when_their_archives_are_there(world: World) -> None:
    url = world.destination("a")
    (first,) = world.seal(1)
    digests(world)
    _, second = world.seal(1)
    digests(world)
    assert f"lists {first.relative_to(world.root)}, which is not at {url} yet" in ship(world, url).waits
    upload(world.root, url, second)
    assert names(url) == []
    upload(world.root, url, first)
    assert ship(world, url) == Recorded()
    assert names(url) == ["00000001.digest", "00000002.digest"]
    assert ship(world, url) == Recorded()


def test_another_digest_of_the_same_name_is_an_error_and_not_replaced(world: World) -> None:
    url = world.destination("a")
    world.seal(1)
    digests(world)
    upload(world.root, url)
    name = "digests/one/00000001.digest"
    for other in (b"other", bytes(len((world.root / name).read_bytes()))):
        store_of(url).put(url / name, other, {})
        with pytest.raises(DeedboxError, match="differs from the digest of the archive directory"):
            ship(world, url)
        assert store_of(url).get(url / name) == other


def test_a_destination_that_does_not_answer_records_nothing(world: World) -> None:
    url = world.destination("a")
    world.seal(1)
    digests(world)
    Path(url.bucket).rmdir()
    assert "does not exist" in ship(world, url).waits


def test_a_record_counts_until_a_later_digest_lists_the_archive_again(world: World) -> None:
    url = world.destination("a")
    (first,) = world.seal(1)
    digests(world)
    gone = Retirement(ArchiveId("one", 1), first.relative_to(world.root).as_posix(), "0" * 64, "local")
    retire(Disk(), world.root, [gone], time.time_ns() // 1000, 0)
    assert ship(world, url).entries == {(ArchiveId("one", 1), "local")}
    last = list(history(world.root, "one"))[-1]
    listed = next(iter(history(world.root, "one"))).digest.archives
    again = msgspec.structs.replace(
        last.digest, number=3, previous=last.sha256, from_us=last.digest.until_us, archives=listed, retired=()
    )
    raw = StoredDigest(again, encode_digest(again), None).raw
    (world.root / "digests/one/00000003.digest").write_bytes(raw)
    assert "which is not at" in ship(world, url).waits
    upload(world.root, url)
    assert ship(world, url) == Recorded(set(), "")
