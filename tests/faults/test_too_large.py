"""A disk that takes small batches and not a large one: the large message is held, the others are archived, and nothing is lost.

On a real quorum queue with a small delivery limit: each return of a message brings it nearer to being dropped.
"""

import os
import resource
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from consumer.archive.checking.verify import verify
from tests.support import archives
from tests.support.mounts import small_ext4
from tests.support.nodes import NewNode
from tests.support.process import Deedbox
from tests.support.wire import WirePublisher

MIB = 1 << 20
SMALL = [b"small %d" % n for n in range(300)]
LIMIT = 3
HELD_S = 6.0  # at two cycles a second, a service that returned the message would have destroyed it in two
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a real file system takes root")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_ext4(tmp_path, 24) as mount:
        yield mount


def arguments(url: str, name: str, limit: int = LIMIT) -> tuple[str, ...]:
    return (
        "--url", url, "--queue", name, "--exchange", name, "--set", "archive.free_bytes_min=0",
        "--set", "service.stats_s=0.5", "--set", f'broker.queue_arguments={{"x-delivery-limit": {limit}}}',
    )  # fmt: skip


def leave_free(disk: Path, size: int) -> Path:
    path = disk / "filler"
    with path.open("wb", buffering=0) as file:
        for step in (64 * 1024, 4096, 1):
            with suppress(OSError):
                while os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize > size:
                    file.write(bytes(step))
    return path


def publish(publisher: WirePublisher, name: str, bodies: list[bytes]) -> None:
    for body in bodies:
        publisher.publish(name.encode(), b"a", b"\0\0", body)
    publisher.wait_for_confirms()


def bodies(directory: Path) -> set[bytes]:
    return {event.body for event in archives.events(directory)}


def hold_while_small_ones_pass(deedbox: Deedbox, publisher: WirePublisher, name: str, large: bytes) -> None:
    publish(publisher, name, [*SMALL[:100], large, *SMALL[100:200]])
    deedbox.wait_for("set_aside")
    deedbox.wait_until(lambda: bodies(deedbox.directory) == set(SMALL[:200]), "the small ones are archived")
    until = time.monotonic() + HELD_S
    publish(publisher, name, SMALL[200:])
    deedbox.wait_until(lambda: bodies(deedbox.directory) == set(SMALL), "those that came later are archived")
    deedbox.wait_until(lambda: time.monotonic() > until, "the time in which the message would be destroyed")
    assert deedbox.lines("stats")[-1]["held"] == 1
    assert deedbox.lines("stats")[-1]["state"] == "consuming"


def archived_and_stopped(deedbox: Deedbox, large: bytes) -> None:
    deedbox.wait_until(lambda: bodies(deedbox.directory) == {*SMALL, large}, "the large one is archived")
    deedbox.wait_for("taken_back")
    deedbox.wait_until(lambda: deedbox.lines("stats")[-1]["held"] == 0, "nothing is held")
    assert deedbox.stop() == 0
    assert deedbox.lines("paused") == []
    assert len(archives.events(deedbox.directory)) == len(SMALL) + 1
    assert [fault for verdict in verify([deedbox.directory]) for fault in verdict.faults] == []
    assert not list(deedbox.directory.glob("*.probe*"))


@NEEDS_ROOT
def test_a_message_larger_than_the_free_space_never_reaches_the_delivery_limit_and_small_ones_go_on(
    url: str, name: str, publisher: WirePublisher, disk: Path, tmp_path: Path
) -> None:
    large = os.urandom(8 * MIB)
    with Deedbox(disk / "archive", *arguments(url, name), log=tmp_path / "log") as deedbox:
        deedbox.wait_for("consuming")
        filler = leave_free(disk, 5 * MIB)
        hold_while_small_ones_pass(deedbox, publisher, name, large)
        assert len(deedbox.lines("consuming")) == 1
        filler.unlink()
        archived_and_stopped(deedbox, large)


def test_a_message_larger_than_the_limit_of_a_file_is_archived_when_the_limit_is_raised(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path
) -> None:
    large = os.urandom(6 * MIB)
    limited = ("prlimit", f"--fsize={4 * MIB}:unlimited")
    with Deedbox(tmp_path / "archive", *arguments(url, name), wrap=limited) as deedbox:
        deedbox.wait_for("consuming")
        hold_while_small_ones_pass(deedbox, publisher, name, large)
        assert deedbox.wait_for("set_aside")["reason"] == "file_limit"
        assert deedbox.process is not None
        resource.prlimit(deedbox.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        archived_and_stopped(deedbox, large)


@NEEDS_ROOT
def test_a_delivery_limit_that_only_a_policy_sets_is_not_reached_by_three_runs_on_a_full_disk(
    new_node: NewNode, name: str, disk: Path
) -> None:
    """AMQP does not report the limit: 20 was assumed, each run returned the message, and the queue dropped it."""
    with new_node() as node:
        node.control("set_policy", "small", ".*", '{"delivery-limit":2}', "--apply-to", "queues")
        publisher = WirePublisher(node.url)
        flags = ("--url", node.url, "--queue", name, "--exchange", name, "--set", "archive.free_bytes_min=0")
        with Deedbox(disk / "archive", *flags, log=disk.parent / "log-0") as deedbox:
            deedbox.wait_for("consuming")
            filler = leave_free(disk, 0)
            publish(publisher, name, [b"one"])
            deedbox.wait_for("paused")
            assert deedbox.stop() == 0
        for run in (1, 2):
            with Deedbox(disk / "archive", *flags, log=disk.parent / f"log-{run}") as deedbox:
                deedbox.wait_for("paused")
                if run == 2:
                    filler.unlink()
                    deedbox.wait_until(lambda: bodies(disk / "archive") == {b"one"}, "archived")
                assert deedbox.stop() == 0
        publisher.close()


@NEEDS_ROOT
def test_a_message_at_its_delivery_limit_is_not_returned_when_the_disk_is_full(
    url: str, name: str, publisher: WirePublisher, disk: Path, tmp_path: Path
) -> None:
    """A limit of 0: the queue drops the message at its first return."""
    with Deedbox(disk / "archive", *arguments(url, name, limit=0), log=tmp_path / "log") as deedbox:
        deedbox.wait_for("consuming")
        filler = leave_free(disk, 0)
        publish(publisher, name, [b"one", b"two"])
        withheld = deedbox.wait_for("withheld")
        assert (withheld["count"], withheld["limit"]) == (0, 0)
        deedbox.wait_for("still_paused")
        deedbox.wait_until(lambda: deedbox.lines("stats")[-1]["state"] == "paused", "the state is logged")
        filler.unlink()
        deedbox.wait_for("resumed")
        deedbox.wait_until(lambda: bodies(deedbox.directory) == {b"one", b"two"}, "both archived")
        publish(publisher, name, [b"three"])
        deedbox.wait_until(lambda: b"three" in bodies(deedbox.directory), "consuming continues")
        assert deedbox.stop() == 0
