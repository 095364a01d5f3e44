"""Fixtures of object storages: session-scoped servers, and a bucket of its own for every test."""

import uuid
from collections.abc import Iterator

import pytest

from consumer.objects.settings import ObjectsSection
from consumer.objects.stores import configure
from consumer.objects.url import ObjectUrl
from tests.support import seaweedfs as seaweedfs_server
from tests.support import swift as swift_server
from tests.support.http_proxy import HttpProxy
from tests.support.s3 import S3


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """SeaweedFS for the session. A test that kills its server makes one of its own."""
    server, s3 = seaweedfs_server.seaweedfs(tmp_path_factory.mktemp("seaweedfs"))
    with server:
        yield s3


@pytest.fixture(scope="session")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """Swift for the session, with its S3 interface."""
    server, s3 = swift_server.swift(tmp_path_factory.mktemp("swift"))
    with server:
        yield s3


@pytest.fixture
def proxy(seaweedfs: S3) -> Iterator[HttpProxy]:
    """A proxy before SeaweedFS. `seaweedfs.settings(proxy.port)`: the settings to go through it."""
    with HttpProxy(seaweedfs.port) as running:
        yield running


@pytest.fixture
def bucket(seaweedfs: S3) -> Iterator[ObjectUrl]:
    """A new bucket in SeaweedFS, with the settings of this process. `seaweedfs.environ()`: the variables for other processes."""
    yield from new_bucket(seaweedfs)


def new_bucket(s3: S3) -> Iterator[ObjectUrl]:
    """A new bucket, and the settings for it until the end of the test."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3.make_bucket(name)
    configure(s3.settings())
    yield ObjectUrl("s3", name)
    configure(ObjectsSection())
