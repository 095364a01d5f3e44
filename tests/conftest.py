"""The real broker of the tests: one private node for the session, names of their own for every test."""

import os
import uuid
from collections.abc import Iterator

import pytest

from consumer.demo.broker import broker
from tests.support.wire import WirePublisher


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long the tests of chance go on."""
    parser.addoption("--searches", type=int, default=200, help="searches while a writer rolls all the time")
    parser.addoption("--archive-sets", type=int, default=120, help="random archive sets of the differential test")
    parser.addoption("--seed", type=int, default=0, help="of the first random archive set")


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """A RabbitMQ: the one of DEEDBOX_BROKER__URL, or a private node."""
    with broker(os.environ, print) as found:
        yield found


@pytest.fixture
def name() -> str:
    """A name that no other test uses, for queues and exchanges."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def publisher(url: str) -> Iterator[WirePublisher]:
    """A connection to publish on, with confirms."""
    made = WirePublisher(url)
    yield made
    made.close()
