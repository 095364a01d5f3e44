"""The real broker of the tests: one private node for the session, names of their own for every test."""

import os
import signal
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from consumer.demo.broker import URL_VARIABLE
from tests.support import nodes, skips
from tests.support.nodes import BODY_BYTES_MAX, NewNode
from tests.support.skips import pytest_make_collect_report, pytest_runtest_makereport  # noqa: F401 -- hooks
from tests.support.storages import bucket, proxy, seaweedfs, swift  # noqa: F401 -- fixtures
from tests.support.wire import WirePublisher

if TYPE_CHECKING:
    from tests.support.clusters import Cluster

# With it the standard streams have no buffers and no locks: it hides defects that users would have.
os.environ.pop("PYTHONUNBUFFERED", None)

_SERVER = pytest.StashKey[str]()


def pytest_configure() -> None:
    """A shell that runs the tests in the background has interrupts ignored, and commands would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Whether a skip fails, and how long the tests of chance go on."""
    skips.pytest_addoption(parser)
    parser.addoption("--searches", type=int, default=100, help="searches while a writer rolls all the time")
    parser.addoption("--archive-sets", type=int, default=60, help="random archive sets of the differential test")
    parser.addoption(
        "--machines", type=int, default=0, help="random sequences of steps of the archive log; 0: the same few"
    )
    parser.addoption("--seed", type=int, default=0, help="of the first random archive set")


@pytest.fixture(scope="session", autouse=True)
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Commands keep footers here, and not in the home of the user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def new_node() -> NewNode:
    """Makes private nodes of the RabbitMQ that is tested. Every test that uses a broker comes here."""
    return nodes.new_node


@pytest.fixture(scope="session")
def url(new_node: NewNode, pytestconfig: pytest.Config) -> Iterator[str]:
    """A RabbitMQ: the one of DEEDBOX_BROKER__URL, or a private node."""
    if named := os.environ.get(URL_VARIABLE):
        pytestconfig.stash[_SERVER] = _server(named)
        yield named
        return
    with new_node(extra_conf=f"max_message_size = {BODY_BYTES_MAX}\n") as node:
        pytestconfig.stash[_SERVER] = _server(node.url)
        yield node.url


@pytest.fixture(scope="session")
def dask() -> Iterator["Cluster"]:
    """A Dask cluster with two workers, for tests that leave it as it is."""
    from tests.support.clusters import cluster

    with cluster(2) as found:
        yield found


def _server(url: str) -> str:
    publisher = WirePublisher(url)
    publisher.close()
    return publisher.server


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


@pytest.hookimpl(tryfirst=True)  # before the selection by markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use a broker, through whatever fixtures."""
    for item in items:
        if isinstance(item, pytest.Function) and "new_node" in item.fixturenames:
            item.add_marker("broker")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if server := config.stash.get(_SERVER, None):
        terminalreporter.write_line(f"broker: {server}")
