from pathlib import Path

import pytest

from consumer.archive.digests.history import history
from consumer.archive.digests.making import Retirement
from consumer.archive.digests.signing import init_key
from consumer.archive.listing import id_of
from consumer.disk.durable import Disk
from consumer.errors import DeedboxError, Fatal
from consumer.ship.retention.recording import recorder
from consumer.ship.settings import ShipSection
from tests.support.steps import sealed


def test_entries_are_signed_with_the_key_of_the_settings(tmp_path: Path) -> None:
    path, _ = sealed(tmp_path / "archive", 2)
    init_key(Disk(), tmp_path / "key")
    record = recorder(Disk(), tmp_path / "archive", ShipSection(sign_key=str(tmp_path / "key")), [])
    archive = id_of(path)
    assert archive is not None
    record([Retirement(archive, "x", "0" * 64, "local", (), "because")])
    (stored,) = history(tmp_path / "archive", "one")
    assert stored.signature is not None
    assert [one.reason for one in stored.digest.retired] == ["because"]
    assert stored.digest.interval_us == 3_600_000_000


def test_a_key_that_is_missing_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(Fatal):
        recorder(Disk(), tmp_path, ShipSection(sign_key=str(tmp_path / "missing")), [])


def test_a_signed_chain_is_not_extended_without_the_key(tmp_path: Path) -> None:
    path, _ = sealed(tmp_path / "archive", 2)
    init_key(Disk(), tmp_path / "key")
    archive = id_of(path)
    assert archive is not None
    entry = Retirement(archive, "x", "0" * 64, "local", (), "because")
    recorder(Disk(), tmp_path / "archive", ShipSection(sign_key=str(tmp_path / "key")), [])([entry])
    with pytest.raises(DeedboxError, match="are signed, and this process has no key"):
        recorder(Disk(), tmp_path / "archive", ShipSection(), [])([entry])
