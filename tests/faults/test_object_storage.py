"""Object storage on bad days: killed, silent, slow, resetting, answering with errors."""

import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from consumer.demo.node import free_ports
from consumer.objects.errors import AccessDenied, ObjectError, TimedOut, Unavailable, Unreachable
from consumer.objects.settings import ObjectsSection
from consumer.objects.store import Store
from consumer.objects.stores import configure, store_of
from consumer.objects.url import ObjectUrl
from tests.support.http_proxy import HttpProxy
from tests.support.s3 import S3
from tests.support.seaweedfs import seaweedfs as new_seaweedfs
from tests.support.storages import new_bucket

MIB = 1 << 20


@pytest.fixture
def store(seaweedfs: S3, proxy: HttpProxy, bucket: ObjectUrl) -> Store:
    """The store of the bucket through the proxy."""
    configure(seaweedfs.settings(proxy.port))
    return store_of(bucket)


@pytest.fixture
def hasty(seaweedfs: S3, proxy: HttpProxy, bucket: ObjectUrl, store: Store) -> Store:
    """The same with short limits, for requests that must fail."""
    configure(seaweedfs.settings(proxy.port, timeout_s=1.0, retry_s=1.0))
    return store_of(bucket)


def chunks(count: int) -> Iterator[bytes]:
    return (bytes([number]) * MIB for number in range(count))


@pytest.mark.parametrize("status", [500, 503])
def test_an_answer_500_or_503_is_retried(store: Store, bucket: ObjectUrl, proxy: HttpProxy, status: int) -> None:
    proxy.answer(status, times=3)
    store.put(bucket / "key", b"content", {})
    assert [one.status for one in proxy.exchanges] == [status] * 3 + [200]
    proxy.answer(status, times=3)
    assert store.get(bucket / "key") == b"content"


def test_answers_503_without_end_are_an_error_that_may_pass(
    store: Store, hasty: Store, bucket: ObjectUrl, proxy: HttpProxy
) -> None:
    proxy.answer(503, times=1000)
    started = time.monotonic()
    with pytest.raises(Unavailable, match="the storage answers with status 503, also to retries") as caught:
        hasty.put(bucket / "key", b"content", {})
    assert caught.value.passing
    assert time.monotonic() - started < 10
    proxy.pass_on()
    assert store.head(bucket / "key") is None


def test_a_part_that_is_answered_with_500_is_sent_again(store: Store, bucket: ObjectUrl, proxy: HttpProxy) -> None:
    proxy.after_sent(1 * MIB, lambda: proxy.answer(500, times=2, method="PUT"))
    store.put_stream(bucket / "key", chunks(48), 48 * MIB, {})
    assert store.get(bucket / "key") == b"".join(chunks(48))
    assert [one.status for one in proxy.exchanges].count(500) == 2


REQUESTS: list[Callable[[Store, ObjectUrl], object]] = [
    lambda store, url: store.put(url, b"x", {}),
    lambda store, url: store.get(url),
    lambda store, url: store.head(url),
    lambda store, url: list(store.list(url.parent)),
    lambda store, url: store.put_stream(url, chunks(20), 20 * MIB, {}),
    lambda store, url: store.delete(url),
    lambda store, url: store.read_many(url, [(0, 1)]),
]


def test_a_black_hole_is_a_timeout_within_the_stated_time(
    store: Store, hasty: Store, bucket: ObjectUrl, proxy: HttpProxy
) -> None:
    """Every request ends, also if all of them wait at the same time."""
    proxy.swallow()
    started = time.monotonic()
    with ThreadPoolExecutor(len(REQUESTS)) as pool:
        waiting = [pool.submit(request, hasty, bucket / "key") for request in REQUESTS]
    assert time.monotonic() - started < 1.0 + 1.0 + 1.0  # timeout_s, retry_s, and a busy machine
    for one in waiting:
        error = one.exception()
        assert isinstance(error, TimedOut)
        assert isinstance(error, TimeoutError)
        assert "no answer in time; check the network and the storage; on a slow line raise objects.timeout_s" in str(
            error
        )
    proxy.pass_on()
    assert store.head(bucket / "key") is None


def test_a_black_hole_in_the_middle_of_a_file_leaves_no_object(
    store: Store, hasty: Store, bucket: ObjectUrl, proxy: HttpProxy
) -> None:
    proxy.after_sent(12 * MIB, proxy.swallow)
    with pytest.raises(TimedOut):
        hasty.put_stream(bucket / "key", chunks(40), 40 * MIB, {})
    proxy.pass_on()
    assert store.head(bucket / "key") is None
    assert list(store.list(bucket)) == []


def test_a_reset_in_the_middle_of_a_part_is_retried(store: Store, bucket: ObjectUrl, proxy: HttpProxy) -> None:
    proxy.after_sent(12 * MIB, proxy.reset)
    store.put_stream(bucket / "key", chunks(30), 30 * MIB, {})
    assert any((one.method, one.status) == ("PUT", 0) for one in proxy.exchanges)
    assert store.get(bucket / "key") == b"".join(chunks(30))


def test_a_read_that_is_reset_in_the_middle_continues(store: Store, bucket: ObjectUrl, proxy: HttpProxy) -> None:
    store.put_stream(bucket / "key", chunks(30), 30 * MIB, {})
    proxy.after_received(5 * MIB, proxy.reset)
    assert store.read(bucket / "key", MIB, 20 * MIB) == b"".join(chunks(21))[MIB:]
    assert [one.method for one in proxy.exchanges].count("GET") == 2


def test_a_read_that_stops_in_the_middle_is_never_a_short_answer(
    store: Store, hasty: Store, bucket: ObjectUrl, proxy: HttpProxy
) -> None:
    store.put_stream(bucket / "key", chunks(30), 30 * MIB, {})
    proxy.after_received(5 * MIB, proxy.swallow)
    with pytest.raises(TimedOut):
        hasty.read(bucket / "key", 0, 30 * MIB)


@pytest.mark.parametrize("ask", [lambda store, url: store.put(url, b"", {}), lambda store, url: store.head(url)])
def test_a_wrong_clock_is_named(
    store: Store, bucket: ObjectUrl, proxy: HttpProxy, ask: Callable[[Store, ObjectUrl], object]
) -> None:
    proxy.skew(-3600)
    with pytest.raises(AccessDenied, match=r"the clock of this machine is wrong; set the clock"):
        ask(store, bucket / "key")


def test_another_region_is_named(store: Store, bucket: ObjectUrl, proxy: HttpProxy) -> None:
    proxy.answer(301)
    with pytest.raises(ObjectError, match=r"the bucket is in another region; set objects\.region or AWS_REGION"):
        store.get(bucket / "key")


def test_missing_credentials_are_named(bucket: ObjectUrl, seaweedfs: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{free_ports(1)[0]}")
    configure(ObjectsSection(endpoint=seaweedfs.settings().endpoint, retry_s=0.0))
    with pytest.raises(
        AccessDenied, match=r"no credentials are set.*; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    ):
        store_of(bucket).get(bucket / "key")


UPLOAD = """
import sys
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
url = ObjectUrl.parse(sys.argv[1])
store_of(url).put_stream(url, (bytes(1 << 20) for _ in range(24)), 24 << 20, {"sha256": "00"})
"""


@pytest.mark.parametrize("server", ["seaweedfs", "swift"])
def test_parts_of_a_killed_upload_are_never_an_object(request: pytest.FixtureRequest, server: str) -> None:
    s3: S3 = request.getfixturevalue(server)
    (bucket,) = new_bucket(s3)
    configure(s3.settings())
    store, url = store_of(bucket), bucket / "day" / "key"
    with HttpProxy(s3.port) as proxy:
        uploading = subprocess.Popen([sys.executable, "-c", UPLOAD, str(url)], env=os.environ | s3.environ(proxy.port))
        proxy.after_sent(9 * MIB, uploading.kill)
        assert uploading.wait(60) == -signal.SIGKILL
    status, answer = s3.request("GET", f"/{bucket.bucket}", {"uploads": ""})
    assert (status, answer.count(b"<Upload>")) == (200, 1)
    assert (store.head(url), list(store.list(bucket))) == (None, [])
    store.put_stream(url, chunks(9), 9 * MIB, {})
    assert store.get(url) == b"".join(chunks(9))
    assert [one.url for one in store.list(bucket)] == [url]


def test_a_refused_connection_is_an_error_that_may_pass(
    store: Store, hasty: Store, bucket: ObjectUrl, proxy: HttpProxy
) -> None:
    proxy.refuse()
    with pytest.raises(Unreachable, match="check the endpoint, the network and the storage") as caught:
        hasty.put(bucket / "key", b"content", {})
    assert (caught.value.passing, isinstance(caught.value, ConnectionError)) == (True, True)
    proxy.pass_on()
    store.put(bucket / "key", b"content", {})


def test_a_server_killed_in_the_middle_of_a_part_leaves_no_object(tmp_path: Path) -> None:
    server, s3 = new_seaweedfs(tmp_path)
    url = ObjectUrl("s3", "bucket", "day/key")
    with server, HttpProxy(s3.port) as proxy:
        s3.make_bucket(url.bucket)
        configure(s3.settings(proxy.port))
        store = store_of(url)
        store.put(url.parent / "before", b"content", {})
        configure(s3.settings(proxy.port, timeout_s=2.0, retry_s=0.5))
        proxy.after_sent(12 * MIB, server.kill)
        with pytest.raises(ObjectError) as caught:
            store_of(url).put_stream(url, chunks(24), 24 * MIB, {})
        assert caught.value.passing
        server.start()
        assert store.head(url) is None
        assert [one.url.name for one in store.list(url.parent)] == ["before"]
        store.put_stream(url, chunks(24), 24 * MIB, {"sha256": "00"})
        assert store.get(url) == b"".join(chunks(24))


def test_an_upload_continues_after_a_restart_of_the_server(tmp_path: Path) -> None:
    server, s3 = new_seaweedfs(tmp_path)
    url = ObjectUrl("s3", "bucket", "key")
    with server, HttpProxy(s3.port) as proxy:
        s3.make_bucket(url.bucket)
        configure(s3.settings(proxy.port))
        proxy.after_sent(12 * MIB, lambda: (server.kill(), server.start()))
        store_of(url).put_stream(url, chunks(24), 24 * MIB, {})
        assert store_of(url).get(url) == b"".join(chunks(24))


OPENSSL = shutil.which("openssl")


@pytest.fixture
def https(tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    """A server with a certificate of an authority of its own, whose file is `authority.pem`."""
    make_certificates(tmp_path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), OneObject)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class OneObject(BaseHTTPRequestHandler):
    """Answers with an object of two bytes."""

    def do_GET(self) -> None:
        self.send_response(200)
        for name, value in {
            "Content-Length": "2",
            "ETag": '"1"',
            "Last-Modified": "Sat, 28 Nov 2026 10:00:00 GMT",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None: ...


def make_certificates(directory: Path) -> None:
    (directory / "extensions").write_text("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
    for command in (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout authority.key -out authority.pem",
        "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 -extfile extensions -out server.pem",
    ):
        subprocess.run([str(OPENSSL), *command.split()], check=True, capture_output=True, cwd=directory)


@pytest.mark.skipif(OPENSSL is None, reason="making certificates takes openssl")
def test_an_authority_of_your_own_is_trusted_through_its_file_and_not_without(
    https: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = ObjectUrl("s3", "bucket", "key")
    settings = ObjectsSection(
        endpoint=f"https://localhost:{https.server_port}", access_key="a", secret_key="b", retry_s=0.0
    )
    configure(settings)
    with pytest.raises(
        ObjectError, match=r"certificate of the storage is not trusted \(UnknownIssuer\).*SSL_CERT_FILE"
    ) as caught:
        store_of(url).get(url)
    assert not caught.value.passing
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    configure(settings)
    assert store_of(url).get(url) == b"ok"
