"""A command that waits for an object storage ends soon after a signal."""

import os
import signal
import subprocess
import sys
import time

import pytest

from consumer.objects.url import ObjectUrl
from tests.support.http_proxy import HttpProxy
from tests.support.s3 import S3


@pytest.mark.parametrize(
    ("command", "sign"), [(["ls"], signal.SIGINT), (["search", "--id", "x"], signal.SIGTERM)], ids=["ls", "search"]
)
def test_a_signal_ends_a_command_that_waits_for_a_storage(
    seaweedfs: S3, bucket: ObjectUrl, proxy: HttpProxy, command: list[str], sign: signal.Signals
) -> None:
    """A request to a black hole waits for a minute, and Python handles a signal only after it."""
    proxy.swallow()
    line = [sys.executable, "-m", "consumer", *command, str(bucket)]
    environ = os.environ | seaweedfs.environ(proxy.port)
    with subprocess.Popen(line, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as waiting:
        proxy.wait_for_request()
        started = time.monotonic()
        waiting.send_signal(sign)
        assert waiting.wait(30) == 128 + sign
    assert time.monotonic() - started < 10
