import json
from pathlib import Path

import pytest

from consumer.archive import naming
from consumer.archive.digests.making import Retirement, make_due, retire
from consumer.disk.durable import Disk
from consumer.errors import DeedboxError
from consumer.objects.url import ObjectUrl
from consumer.ship.digest_gate import ArchiveLost, DigestGates, DigestWaits
from consumer.ship.local_files import Kind, LocalFile, find_files
from consumer.ship.record import Record
from consumer.ship.target import target_of
from tests.support.shipping import destination, seal, sha256

HOUR_US = 3_600_000_000
NOW_US = 1_800_000_000_000_000


def digests(directory: Path) -> list[LocalFile]:
    return [file for file in find_files(directory).files if file.kind is Kind.DIGEST]


def gates(directory: Path, place: ObjectUrl, record: Record | None = None) -> DigestGates:
    return DigestGates(directory, target_of(place), record or Record(), find_files(directory))


@pytest.fixture
def listed(directory: Path) -> list[Path]:
    """Two archives that a digest lists."""
    paths = seal(directory, 2)
    make_due(Disk(), directory, NOW_US, HOUR_US)
    return paths


def test_a_digest_waits_for_every_archive_that_it_lists(directory: Path, place: ObjectUrl, listed: list[Path]) -> None:
    record, target = Record(), target_of(place)
    target.store.put(place / "any", b"", {})
    found = target.facts("any")
    assert found is not None
    with pytest.raises(DigestWaits):
        gates(directory, place, record).check(digests(directory)[0])
    for file in find_files(directory).files[:2]:
        with pytest.raises(DigestWaits):
            gates(directory, place, record).check(digests(directory)[0])
        record.verified(file.name, file.stamps(), found[0])
    gates(directory, place, record).check(digests(directory)[0])


def test_an_archive_that_is_only_at_the_destination_counts(
    directory: Path, place: ObjectUrl, listed: list[Path]
) -> None:
    assert destination(directory, place).run_pass().is_complete
    for path in listed:
        path.unlink()
    gates(directory, place).check(digests(directory)[0])


def test_an_archive_that_is_nowhere_is_lost(directory: Path, place: ObjectUrl, listed: list[Path]) -> None:
    for path in listed:
        path.unlink()
    with pytest.raises(ArchiveLost, match="neither here nor there"):
        gates(directory, place).check(digests(directory)[0])


def test_an_acknowledged_loss_does_not_hold_the_chain_for_ever(
    directory: Path, place: ObjectUrl, listed: list[Path]
) -> None:
    """wal-g#1590: a known loss stays red for ever."""
    for path in listed:
        archive = naming.parse_sealed(path)
        path.unlink()
        line = {
            "head": "",
            "code": "archive_missing",
            "offset": 0,
            "detail": str(archive),
            "acknowledged": "2026-11-21",
        }
        (directory / f"{archive}.acknowledged").write_text(json.dumps(line) + "\n")
    gates(directory, place).check(digests(directory)[0])


def test_another_object_in_place_of_a_lost_archive_does_not_count(
    directory: Path, place: ObjectUrl, listed: list[Path]
) -> None:
    for path in listed:
        target_of(place).store.put(place / f"20251121/{path.name}", b"other", {})
        path.unlink()
    with pytest.raises(ArchiveLost):
        gates(directory, place).check(digests(directory)[0])


def test_retirement_is_no_loss(directory: Path, place: ObjectUrl, listed: list[Path]) -> None:
    entries = []
    for path in listed:
        archive = naming.parse_sealed(path)
        assert archive is not None
        entries.append(Retirement(archive, f"20251121/{path.name}", sha256(path), "local"))
    retire(Disk(), directory, entries, NOW_US + 1, HOUR_US)
    for path in listed:
        path.unlink()
    for digest in digests(directory):
        gates(directory, place).check(digest)


def test_an_archive_that_was_listed_again_after_its_retirement_can_be_lost(
    directory: Path, place: ObjectUrl, listed: list[Path]
) -> None:
    """The record of a removal that did not happen hid a later loss."""
    archive = naming.parse_sealed(listed[0])
    assert archive is not None
    name = f"20251121/{listed[0].name}"
    retire(Disk(), directory, [Retirement(archive, name, sha256(listed[0]), "local")], NOW_US + 1, HOUR_US)
    make_due(Disk(), directory, NOW_US + 2 * HOUR_US, HOUR_US)
    assert destination(directory, place).run_pass().is_complete
    listed[0].unlink()
    target_of(place).store.delete(place / name)
    with pytest.raises(ArchiveLost, match="neither here nor there"):
        gates(directory, place).check(digests(directory)[-1])


def test_a_damaged_digest_is_not_shipped(directory: Path, place: ObjectUrl, listed: list[Path]) -> None:
    (digest,) = digests(directory)
    digest.path.chmod(0o600)
    digest.path.write_bytes(b"{}\n")
    with pytest.raises(DeedboxError, match=r"00000001\.digest"):
        gates(directory, place).check(digest)
