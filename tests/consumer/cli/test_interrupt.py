"""A command that waits for an object storage ends soon after a signal."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

from consumer.objects.url import ObjectUrl
from tests.support.http_proxy import HttpProxy
from tests.support.s3 import S3


def test_a_signal_ends_a_command_that_waits_for_a_storage(seaweedfs: S3, bucket: ObjectUrl, proxy: HttpProxy) -> None:
    """A request to a black hole waits for a minute, and Python handles a signal only after it."""
    proxy.swallow()
    environ = os.environ | seaweedfs.environ(proxy.port)
    signs = {signal.SIGINT: ["ls"], signal.SIGTERM: ["search", "--id", "x"]}
    with ExitStack() as stack:
        waiting = {}
        for count, (sign, command) in enumerate(signs.items(), 1):
            line = [sys.executable, "-m", "consumer", *command, str(bucket)]
            waiting[sign] = stack.enter_context(subprocess.Popen(line, env=environ, stdout=subprocess.DEVNULL))
            proxy.wait_for_requests(count)
        started = time.monotonic()
        for sign, process in waiting.items():
            process.send_signal(sign)
        assert {sign: process.wait(30) for sign, process in waiting.items()} == {sign: 128 + sign for sign in signs}
    assert time.monotonic() - started < 10
