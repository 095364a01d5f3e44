"""Shipping on bad days: a real storage, and a proxy before it that fails. Afterwards each archive is there once, as it is here."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from consumer.archive.digests.making import make_due
from consumer.disk.durable import Disk
from consumer.objects.stores import configure, store_of
from consumer.objects.url import ObjectUrl
from consumer.ship.destination import Destination, Limits
from consumer.ship.outcome import PassResult
from consumer.ship.pacing import PAUSE_S_MAX, Bandwidth
from consumer.ship.shipper import Shipper
from tests.support.http_proxy import HttpProxy
from tests.support.s3 import S3
from tests.support.seaweedfs import seaweedfs as new_seaweedfs
from tests.support.shipping import Clock, Reports, destination, holds, local, seal

MIB = 1 << 20
PART = 5 * MIB


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def through(seaweedfs: S3, proxy: HttpProxy, bucket: ObjectUrl) -> ObjectUrl:
    """The bucket through the proxy, with short limits."""
    configure(seaweedfs.settings(proxy.port, timeout_s=2.0, retry_s=0.5, part_bytes=PART))
    return bucket


def complete_later(directory: Path, url: ObjectUrl, proxy: HttpProxy, fail: Callable[[], object]) -> list[str]:
    """Ship while the proxy fails, then without it. Returns the reasons of the first pass."""
    reports, clock = Reports(), Clock()
    made = destination(directory, url, reports, clock=clock)
    fail()
    first = made.run_pass()
    assert not first.is_complete
    assert first.retry
    reasons = [reason for kind, _, reason in reports.lines if kind in ("failed", "down")]
    proxy.pass_on()
    finish(made, clock)
    assert holds(url) == local(directory)
    return reasons


def finish(made: Destination, clock: Clock) -> None:
    """Passes until everything is there. A loaded machine may not answer within the short limits of a test."""
    for _ in range(10):
        clock.now += PAUSE_S_MAX
        if made.run_pass().is_complete:
            return
    raise AssertionError(made.progress)


def test_a_few_answers_503_are_no_failure(directory: Path, through: ObjectUrl, proxy: HttpProxy, seaweedfs: S3) -> None:
    configure(seaweedfs.settings(proxy.port))
    seal(directory, 3)
    proxy.answer(503, times=2)
    proxy.answer(500, times=2, method="PUT")
    assert destination(directory, through).run_pass().is_complete
    assert holds(through) == local(directory)


@pytest.mark.parametrize("status", [500, 503])
def test_a_storage_that_answers_with_errors(directory: Path, through: ObjectUrl, proxy: HttpProxy, status: int) -> None:
    seal(directory, 3)
    reasons = complete_later(directory, through, proxy, lambda: proxy.answer(status, times=1000, method="PUT"))
    assert f"status {status}" in reasons[0]


def test_a_black_hole_ends_in_bounded_time(directory: Path, through: ObjectUrl, proxy: HttpProxy) -> None:
    seal(directory, 20)
    begin = time.monotonic()
    reasons = complete_later(directory, through, proxy, proxy.swallow)
    assert time.monotonic() - begin < 30
    assert "no answer in time" in reasons[0]


def test_a_storage_that_falls_silent_between_two_archives(
    directory: Path, through: ObjectUrl, proxy: HttpProxy
) -> None:
    seal(directory, 6, events=1, size=100_000)
    complete_later(directory, through, proxy, lambda: proxy.after_sent(250_000, proxy.swallow))


def test_a_refused_connection(directory: Path, through: ObjectUrl, proxy: HttpProxy) -> None:
    seal(directory, 3)
    assert "no connection" in complete_later(directory, through, proxy, proxy.refuse)[0]


def test_a_connection_that_is_reset_in_the_middle_of_a_part(
    directory: Path, through: ObjectUrl, proxy: HttpProxy
) -> None:
    seal(directory, 1, events=16, size=MIB)
    proxy.after_sent(7 * MIB, proxy.reset)
    clock = Clock()
    made = destination(directory, through, clock=clock)
    made.run_pass()
    finish(made, clock)
    assert holds(through) == local(directory)


def test_a_server_that_is_killed_in_the_middle_of_a_part(tmp_path: Path) -> None:
    server, s3 = new_seaweedfs(tmp_path)
    directory, url, clock = tmp_path / "archive", ObjectUrl("s3", "bucket", "prefix"), Clock()
    seal(directory, 2, events=16, size=MIB)
    with server, HttpProxy(s3.port) as proxy:
        s3.make_bucket(url.bucket)
        configure(s3.settings(proxy.port, timeout_s=2.0, retry_s=0.5, part_bytes=PART))
        made = destination(directory, url, clock=clock, uploads=1)
        proxy.after_sent(12 * MIB, server.kill)
        assert made.run_pass().retry
        server.start()
        assert set(holds(url)) < set(local(directory))
        finish(made, clock)
        assert holds(url) == local(directory)


def test_a_clock_that_is_wrong_is_named(directory: Path, through: ObjectUrl, proxy: HttpProxy) -> None:
    seal(directory, 2)
    proxy.skew(-3600)
    result = destination(directory, through).run_pass()
    assert "the clock of this machine is wrong" in result.down
    assert not result.retry
    proxy.skew(0)


def ship_once(directory: Path, url: ObjectUrl, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "consumer", "ship", str(directory), "--to", str(url), "--once"]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, env=os.environ | environ)


def test_wrong_credentials_are_named_at_once(directory: Path, bucket: ObjectUrl, seaweedfs: S3) -> None:
    seal(directory, 50)
    out = ship_once(directory, bucket, seaweedfs.environ() | {"AWS_SECRET_ACCESS_KEY": "wrong"})
    assert out.returncode == 1
    assert "the secret key is wrong; check objects.secret_key or AWS_SECRET_ACCESS_KEY" in out.stdout
    assert "NOT all shipped" in out.stdout
    assert len(out.stdout.splitlines()) == 3  # no digest is made before the destination was asked for older ones
    assert holds(bucket) == {}


def test_a_missing_bucket_is_named(directory: Path, seaweedfs: S3) -> None:
    seal(directory, 2)
    out = ship_once(directory, ObjectUrl("s3", "no-such-bucket", "a"), seaweedfs.environ())
    assert out.returncode == 1
    assert "there is no bucket 'no-such-bucket'; create it, or correct the URL" in out.stdout


def test_one_destination_that_is_silent_does_not_hold_up_another(
    directory: Path, tmp_path: Path, through: ObjectUrl, proxy: HttpProxy
) -> None:
    seal(directory, 3)
    (tmp_path / "copy").mkdir()
    other = ObjectUrl.of_directory(str(tmp_path / "copy"))
    proxy.swallow()
    shipped = threading.Semaphore(0)
    reports = Reports()
    reports.shipped = lambda *_: shipped.release()  # type: ignore[method-assign]
    made = Shipper(directory, [through, other], Limits(Bandwidth(0)), reports)
    made.begin(lambda _: None)
    assert all(shipped.acquire(timeout=10) for _ in range(3))
    made.stop()
    assert made.join(30)
    assert holds(other) == local(directory)


def test_a_digest_never_advances_past_a_failed_upload(directory: Path, through: ObjectUrl, proxy: HttpProxy) -> None:
    """amazon-mq/rabbitmq-stream-s3#210: the manifest advanced past a failed upload, the local copy was freed: a silent hole."""
    paths = seal(directory, 4, events=1, size=100_000)
    (digest,) = make_due(Disk(), directory, time.time_ns() // 1000, 3_600_000_000)
    reports, clock = Reports(), Clock()
    made = destination(directory, through, reports, clock=clock, uploads=1)
    proxy.after_sent(250_000, lambda: proxy.answer(503, times=1000, method="PUT"))
    assert not made.run_pass().is_complete
    there = holds(through)
    assert 0 < len(there) < len(paths)
    assert not [name for name in there if name.endswith(".digest")]
    proxy.pass_on()
    finish(made, clock)
    assert holds(through) == local(directory) | local(directory, digest)


def test_a_slow_upload_that_another_shipper_takes_for_a_dead_one(
    directory: Path, bucket: ObjectUrl, seaweedfs: S3, proxy: HttpProxy
) -> None:
    """thanos-io/thanos#1577 and #8182: a slow upload was deleted as a partial one."""
    seal(directory, 1, events=16, size=MIB)
    proxy.throttle(6 * MIB)
    half = threading.Event()
    proxy.after_sent(6 * MIB, half.set)
    configure(seaweedfs.settings(proxy.port, part_bytes=PART))
    slow = destination(directory, bucket)
    results: list[PassResult] = []
    thread = threading.Thread(target=lambda: results.append(slow.run_pass()))
    thread.start()
    assert half.wait(30)
    fast = ship_once(directory, bucket, seaweedfs.environ())
    assert fast.returncode == 0, fast.stdout
    there = holds(bucket).items() >= local(directory).items()
    thread.join(60)
    assert there
    assert [result.is_complete for result in results] == [True]
    assert holds(bucket).items() >= local(directory).items()


def test_orphaned_parts_are_no_object_and_do_not_stop_the_next_shipper(
    directory: Path, bucket: ObjectUrl, seaweedfs: S3, proxy: HttpProxy
) -> None:
    """rabbitmq-stream-s3#232: orphans."""
    seal(directory, 1, events=16, size=MIB)
    command = [sys.executable, "-m", "consumer", "ship", str(directory), "--to", str(bucket), "--once"]
    environ = os.environ | seaweedfs.environ(proxy.port) | {"DEEDBOX_OBJECTS__PART_BYTES": "5MiB"}
    shipping = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)
    proxy.after_sent(7 * MIB, shipping.kill)
    assert shipping.wait(60) == -9
    status, answer = seaweedfs.request("GET", f"/{bucket.bucket}", {"uploads": ""})
    assert (status, answer.count(b"<Upload>")) == (200, 1)
    assert holds(bucket) == {}
    assert destination(directory, bucket).run_pass().is_complete
    assert set(holds(bucket)) >= set(local(directory))
    assert local(directory).items() <= holds(bucket).items()


def test_two_shippers_of_one_directory_do_no_harm(directory: Path, bucket: ObjectUrl) -> None:
    seal(directory, 30)
    results: list[PassResult] = []
    shippers = [destination(directory, bucket) for _ in range(2)]
    threads = [threading.Thread(target=lambda one=one: results.append(one.run_pass())) for one in shippers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [result.is_complete for result in results] == [True, True]
    assert holds(bucket) == local(directory)


def test_the_bandwidth_is_limited(directory: Path, bucket: ObjectUrl) -> None:
    seal(directory, 1, events=3, size=MIB)
    begin = time.monotonic()
    made = Shipper(directory, [bucket], Limits(Bandwidth(2 * MIB)), Reports())
    assert made.once()[str(bucket)].is_complete
    assert time.monotonic() - begin > 1.0  # 3 MiB at 2 MiB a second, and the first piece does not wait
    assert store_of(bucket)
