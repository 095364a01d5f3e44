from pathlib import Path

from codec.watermark import Watermark
from consumer.archive.instances import find_instances
from consumer.archive.ledger import Ledger
from consumer.archive.naming import ArchiveId
from consumer.archive.watermark import publish_watermark
from consumer.disk.durable import Disk


def test_instances_are_known_by_their_ledgers_and_watermarks(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    Ledger(Disk(), tmp_path, "a").update(committed=3, unsealed=(2,))
    publish_watermark(Disk(), tmp_path, "a", Watermark(4, 10, 1000))
    publish_watermark(Disk(), tmp_path / "below", "b", Watermark(1, 5, 500))
    (tmp_path / "not an instance.ledger").touch()
    first, second = find_instances(tmp_path)
    assert (first.name, first.named) == ("a", [ArchiveId("a", 2), ArchiveId("a", 4)])
    assert (second.name, second.named) == ("b", [ArchiveId("b", 1)])
    assert first.committed_events(ArchiveId("a", 4)) == 10
    assert first.committed_events(ArchiveId("a", 3)) == 0


def test_an_instance_that_never_committed_misses_nothing(tmp_path: Path) -> None:
    Ledger(Disk(), tmp_path, "a").update(running=True)
    assert [one.named for one in find_instances(tmp_path)] == [[]]
