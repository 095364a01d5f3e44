import hashlib
from pathlib import Path

import pytest

from consumer.errors import DeedboxError
from consumer.ship.steps.facts import facts_of
from consumer.ship.steps.variables import VARIABLES
from tests.support.steps import sealed


def test_the_facts_of_an_archive(tmp_path: Path) -> None:
    _, path = sealed(tmp_path / "archive", 2)
    facts = facts_of(path)
    assert facts == {
        "DEEDBOX_ARCHIVE_PATH": str(path),
        "DEEDBOX_ARCHIVE_NAME": path.name,
        "DEEDBOX_ARCHIVE_ID": "one-00000002",
        "DEEDBOX_ARCHIVE_INSTANCE": "one",
        "DEEDBOX_ARCHIVE_SEQUENCE": "2",
        "DEEDBOX_ARCHIVE_EVENTS": "3",
        "DEEDBOX_ARCHIVE_BATCHES": "1",
        "DEEDBOX_ARCHIVE_BYTES": str(path.stat().st_size),
        "DEEDBOX_ARCHIVE_SHA256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "DEEDBOX_ARCHIVE_FIRST": "2025-11-21T16:15:00.000003Z",
        "DEEDBOX_ARCHIVE_LAST": "2025-11-21T16:15:00.000005Z",
    }
    assert facts.keys() == VARIABLES


def test_a_damaged_archive_has_no_facts(tmp_path: Path) -> None:
    (path,) = sealed(tmp_path / "archive", 1)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DeedboxError, match="run repair"):
        facts_of(path)
