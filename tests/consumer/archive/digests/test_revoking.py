from pathlib import Path

from codec.digest import LOCAL
from consumer.archive.digests.history import retired
from consumer.archive.digests.making import Retirement, retire
from consumer.archive.digests.revoking import revoke
from consumer.archive.naming import ArchiveId
from consumer.disk.durable import Disk
from tests.consumer.archive.digests.test_chain import HOUR_US, NOW_US, key, local, read

__all__ = ["key", "local"]
ONE, TWO = ArchiveId("one", 1), ArchiveId("one", 2)


def test_an_archive_is_listed_again_and_its_other_removals_still_count(local: Path) -> None:
    """Also an archive that the directory does not have any more."""
    places = [(ONE, LOCAL), (ONE, "s3://a"), (ONE, "s3://b"), (TWO, "s3://a")]
    entries = [Retirement(archive, "x", "0" * 64, where) for archive, where in places]
    retire(Disk(), local, entries, NOW_US + 9 * HOUR_US, HOUR_US)
    before = read(None, local).digests
    for path in local.rglob("*one-00000001.kvp.zst"):
        path.unlink()
    assert len(revoke(Disk(), local, [(ONE, "s3://a")], NOW_US + 10 * HOUR_US, HOUR_US)) == 1
    chain = read(None, local)
    assert chain.faults == []
    assert set(retired(local)) == {(ONE, LOCAL), (ONE, "s3://b"), (TWO, "s3://a")}
    assert {one.where for one in chain.retired[1]} == {LOCAL, "s3://b"}
    newest = max(chain.digests)
    assert chain.digests[newest].digest.archives == before[1].digest.archives[:1]
    assert revoke(Disk(), local, [(ONE, "s3://a"), (TWO, LOCAL)], NOW_US + 11 * HOUR_US, HOUR_US) == []
