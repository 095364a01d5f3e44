"""The storages on which the contract of stores is tested."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from consumer.objects.store import Store
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from tests.support.storages import new_bucket


@pytest.fixture(params=["seaweedfs", "swift", "directory", "memory"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectUrl]:
    """An empty bucket of each storage."""
    match request.param:
        case "directory":
            yield ObjectUrl.of_directory(str(tmp_path))
        case "memory":
            yield ObjectUrl("memory", uuid4().hex)
        case name:
            yield from new_bucket(request.getfixturevalue(name))


@pytest.fixture
def store(base: ObjectUrl) -> Store:
    """The store of the bucket."""
    return store_of(base)
