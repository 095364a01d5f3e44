"""The same over TLS, with frames cut where TLS records end."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.demo.node import Node, free_ports
from consumer.errors import Exit
from tests.support import archives
from tests.support.nodes import NewNode
from tests.support.process import Deedbox
from tests.support.wire import WirePublisher

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="making certificates takes openssl")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate, and its key."""
    path = tmp_path / "certificate.pem"
    command = [OPENSSL, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
               "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", tmp_path / "key.pem", "-out", path]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return path


@pytest.fixture
def node(new_node: NewNode, certificate: Path) -> Iterator[tuple[Node, int]]:
    (port,) = free_ports(1)
    key = certificate.with_name("key.pem")
    conf = (
        f"listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.cacertfile = {certificate}\n"
        f"ssl_options.certfile = {certificate}\nssl_options.keyfile = {key}\n"
    )
    with new_node(extra_conf=conf) as started:
        yield started, port


def test_deliveries_over_tls_are_archived_exactly(
    node: tuple[Node, int], certificate: Path, name: str, tmp_path: Path
) -> None:
    started, port = node
    arguments = ("--url", f"amqps://guest:guest@localhost:{port}/", "--queue", name, "--exchange", name)
    publisher = WirePublisher(started.url)
    with Deedbox(tmp_path / "archive", *arguments, "--set", f"broker.ca_file={certificate}") as deedbox:
        deedbox.wait_for("consuming")
        sent = [b"%d " % n * (n % 500) + b"x" * (300_000 if n == 7 else 0) for n in range(2000)]
        for body in sent:
            publisher.publish(name.encode(), b"a", b"\0\0", body)
        publisher.wait_for_confirms()
        deedbox.wait_until(lambda: archives.count(tmp_path / "archive") == len(sent), "all archived")
        assert deedbox.stop() == 0
    publisher.close()
    assert [event.body for event in archives.events(tmp_path / "archive")] == sent


def test_a_certificate_of_an_unknown_authority_is_refused(node: tuple[Node, int], name: str, tmp_path: Path) -> None:
    _, port = node
    with Deedbox(tmp_path / "archive", "--url", f"amqps://guest:guest@localhost:{port}/", "--queue", name) as deedbox:
        assert deedbox.process is not None
        assert deedbox.process.wait(30) == Exit.ACCESS
        (failed,) = deedbox.lines("failed")
        assert "broker.ca_file" in str(failed["do"])
