"""The promise with object storage: a service that ships and removes, killed again and again, with a storage that is killed too."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import orjson
import pytest

from codec.stable import stable_header
from consumer.archive.listing import find_archives
from consumer.archive.naming import parse_sealed
from consumer.archive.reading.reader import StoredBatch, open_archive
from consumer.objects.stores import configure
from consumer.objects.url import ObjectUrl
from tests.integration.test_kill import Feed, identity, of_event
from tests.support.command_line import deedbox
from tests.support.messages import messages
from tests.support.process import Deedbox
from tests.support.s3 import S3
from tests.support.seaweedfs import seaweedfs
from tests.support.server import Server

MESSAGES = 6_000
KILLS = 6
SEED = 20261128


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[tuple[Server, S3, ObjectUrl]]:
    """A storage of this test alone, because the test kills it."""
    folder = tmp_path / "storage"
    folder.mkdir()
    server, s3 = seaweedfs(folder)
    with server:
        s3.make_bucket("deeds")
        yield server, s3, ObjectUrl("s3", "deeds", "archive")


def test_every_confirmed_message_is_kept_while_archives_are_shipped_and_removed(
    url: str, name: str, tmp_path: Path, storage: tuple[Server, S3, ObjectUrl], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, s3, prefix = storage
    for variable, value in s3.environ().items():
        monkeypatch.setenv(variable, value)
    directory, random, sent = tmp_path / "archive", Random(SEED), list(messages(MESSAGES, SEED))
    options = {
        "roll.events": 250, "ship.destinations": prefix, "ship.digest_s": 1, "retain.count": 3, "retain.every_s": 1,
        "objects.timeout_s": 5, "objects.retry_s": 5,
    }  # fmt: skip
    flags = [word for key, value in options.items() for word in ("--set", f"{key}={value}")]
    with Deedbox(directory, "--queue", name, "--exchange", name, "--instance", "one", "--url", url, *flags) as service:
        service.wait_for("consuming")
        feed = Feed(url, name, sent, per_s=600)
        feed.start()
        for kill in range(1, KILLS + 1):
            time.sleep(random.uniform(0.5, 2.0))
            service.kill()
            if kill % 3 == 0:
                server.kill()
            service.start()
            service.wait_for("consuming", kill + 1)
            if kill % 3 == 0:
                server.start()
        feed.finish()
        service.wait_until(lambda: len(sealed(directory)) <= 4, "removed what is shipped")
        assert service.stop() == 0
    assert deedbox("ship", directory, "--to", prefix, "--once").returncode == 0
    assert deedbox("retain", directory, "--to", prefix, "--count", "2").returncode == 0
    assert len(sealed(directory)) == 2
    configure(s3.settings())
    check(
        directory,
        prefix,
        Counter(identity(one.key.decode("utf-8", "surrogateescape"), one.header, one.body) for one in sent),
    )


def sealed(directory: Path) -> list[Path]:
    return [path for path in find_archives([directory]) if parse_sealed(path)]


def check(directory: Path, prefix: ObjectUrl, wanted: Counter[tuple[str, bytes, bytes]]) -> None:
    """Everything is at the storage, each archive once; both places together are complete."""
    names = [parse_sealed(one) for one in find_archives([prefix])]
    assert len(names) == len(set(names))
    found = []
    for place in find_archives([prefix]):
        with open_archive(place) as archive:
            batches = [part for part in archive.parts() if isinstance(part, StoredBatch)]
            found += [event for batch in batches for event in batch.events()]
    assert Counter(of_event(event) for event in found if not event.duplicate) == wanted
    assert all(stable_header(event.header) for event in found)
    for depth in ("--no-deep", "--deep"):
        done = deedbox("verify", directory, prefix, depth)
        assert (done.returncode, "lost" in done.stdout, done.stdout.splitlines()[-1][:8]) == (0, False, "complete"), (
            done
        )
    done = deedbox("cat", prefix, directory)
    assert (done.returncode, len({orjson.loads(line)["position"] for line in done.stdout.splitlines()})) == (
        0,
        MESSAGES,
    )
