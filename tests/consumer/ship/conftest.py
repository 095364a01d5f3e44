"""What the tests of shipping start with: a directory, and a bucket in the memory of this process."""

from pathlib import Path
from uuid import uuid4

import pytest

from consumer.objects.url import ObjectUrl


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def place() -> ObjectUrl:
    """A prefix in a bucket of its own, in memory."""
    return ObjectUrl("memory", uuid4().hex, "some/prefix")
