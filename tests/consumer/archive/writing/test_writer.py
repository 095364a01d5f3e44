from pathlib import Path

import pytest

from codec.archive import Head
from consumer.archive.layout import Layout
from consumer.archive.reading.reader import ArchiveFile, Seal
from consumer.archive.writing.writer import ArchiveWriter
from consumer.disk.durable import Disk
from consumer.errors import StorageFault
from tests.support.archive_logs import START_US, some
from tests.support.disk import ShadowDisk


def writer(directory: Path, disk: Disk | None = None) -> ArchiveWriter:
    return ArchiveWriter(disk or Disk(), Layout(directory), Head("one", 1, START_US, "boot"), lambda: 0.0, lambda: 0.0)


def test_a_receipt_names_the_place_of_the_batch(tmp_path: Path) -> None:
    one = writer(tmp_path)
    receipts = [one.append(some(0, 2)), one.append(some(2, 3))]
    assert [(str(receipt.archive), receipt.batch, receipt.events) for receipt in receipts] == [
        ("one-00000001", 0, 2),
        ("one-00000001", 1, 3),
    ]
    assert one.committed == one.path.stat().st_size == sum(receipt.bytes for receipt in receipts)
    one.abandon()


def test_a_seal_counts_the_events_of_its_archive(tmp_path: Path) -> None:
    one = writer(tmp_path)
    one.append([event._replace(tags=("blue",)) for event in some(0, 5)])
    sealed = one.seal()
    with ArchiveFile(sealed.path) as archive:
        seal = list(archive.parts())[-1]
    assert isinstance(seal, Seal)
    assert seal.footer.types == {"type.0": 2, "type.1": 2, "type.2": 1}
    assert seal.footer.tags == {"blue": 5}
    assert (seal.footer.events, seal.footer.batches, seal.footer.names_complete) == (5, 1, True)
    assert sealed.bytes == sealed.path.stat().st_size


def test_after_an_error_the_writer_is_broken_for_good(tmp_path: Path) -> None:
    """A sync that failed once is never asked again on this file."""
    disk = ShadowDisk(tmp_path, fail_at=3)
    one = writer(tmp_path, disk)
    with pytest.raises(StorageFault, match="consuming resumes by itself"):
        one.append(some(0, 1))
    assert one.broken
    assert one.committed == 0
    with pytest.raises(AssertionError, match="a writer after its end"):
        one.append(some(0, 1))
    assert disk.calls.count("sync") == 1
    one.abandon()
