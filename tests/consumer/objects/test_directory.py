"""Objects in a local directory, apart from the contract of all stores."""

from pathlib import Path

import pytest

from consumer.objects.errors import BucketMissing
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl


def test_a_missing_directory_is_not_made(tmp_path: Path) -> None:
    """Its disk may not be mounted."""
    base = ObjectUrl.of_directory(str(tmp_path / "mount"))
    with pytest.raises(BucketMissing, match="create it, or mount its disk"):
        store_of(base).put(base / "key", b"", {})
    with pytest.raises(BucketMissing):
        store_of(base).head(base / "key")
    assert not (tmp_path / "mount").exists()
