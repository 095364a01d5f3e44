"""The service ships while it archives: a real broker, a real storage, and a proxy that fails between them."""

import time
from pathlib import Path

import pytest

from consumer.objects.url import ObjectUrl
from tests.support.http_proxy import HttpProxy
from tests.support.process import Deedbox
from tests.support.s3 import S3
from tests.support.shipping import holds, local
from tests.support.wire import WirePublisher


def publish(publisher: WirePublisher, exchange: str, count: int) -> None:
    for number in range(count):
        publisher.publish(exchange.encode(), b"key", b"\0\0", b"%d" % number)
    publisher.wait_for_confirms()


class Shipping(Deedbox):
    """`deedbox run` that ships to a destination and seals after each ten events."""

    def __init__(self, directory: Path, url: str, name: str, bucket: ObjectUrl, environ: dict[str, str]) -> None:
        super().__init__(
            directory, "--url", url, "--queue", name, "--exchange", name, "--instance", "one",
            "--set", "roll.events=10", "--set", f"ship.destinations={bucket}", "--set", "ship.digest_s=0", "--set", "service.stats_s=0.2",
        )  # fmt: skip
        self._environ = environ


def test_the_service_ships_what_it_seals(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path, seaweedfs: S3, bucket: ObjectUrl
) -> None:
    directory = tmp_path / "archive"
    with Shipping(directory, url, name, bucket, seaweedfs.environ()) as deedbox:
        deedbox.wait_for("consuming")
        publish(publisher, name, 30)
        deedbox.wait_for("archive_shipped")
        assert deedbox.stop() == 0
        assert deedbox.wait_for("shipping_stopped")
    assert holds(bucket).items() <= local(directory).items()


@pytest.mark.parametrize("failure", ["swallow", "refuse"])
def test_a_storage_that_does_not_answer_neither_slows_ingest_nor_delays_the_end(
    url: str,
    name: str,
    publisher: WirePublisher,
    tmp_path: Path,
    seaweedfs: S3,
    bucket: ObjectUrl,
    proxy: HttpProxy,
    failure: str,
) -> None:
    directory = tmp_path / "archive"
    getattr(proxy, failure)()
    with Shipping(directory, url, name, bucket, seaweedfs.environ(proxy.port)) as deedbox:
        deedbox.wait_for("shipping")
        deedbox.wait_for("consuming")
        begin = time.monotonic()
        publish(publisher, name, 500)
        deedbox.wait_until(lambda: any(line["acked"] == 500 for line in deedbox.lines("stats")), "500 acknowledged")
        assert time.monotonic() - begin < 30
        begin = time.monotonic()
        assert deedbox.stop() == 0
        assert time.monotonic() - begin < 15
        assert deedbox.wait_for("stopped")["archived"] == 500
    assert holds(bucket) == {}
