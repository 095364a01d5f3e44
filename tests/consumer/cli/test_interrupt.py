"""A command that waits for an object storage ends soon after a signal."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from consumer.objects.url import ObjectUrl
from tests.support.archive_logs import archive_log, some
from tests.support.http_proxy import HttpProxy
from tests.support.s3 import S3


def test_a_signal_ends_a_command_that_waits_for_a_storage(
    seaweedfs: S3, bucket: ObjectUrl, proxy: HttpProxy, tmp_path: Path
) -> None:
    """A request to a black hole waits for a minute, and Python handles a signal only after it."""
    for first in (0, 20):
        log = archive_log(tmp_path / "archive")
        log.append(some(first, 20))
        log.roll("stop")
    proxy.swallow()
    environ = os.environ | seaweedfs.environ(proxy.port)
    commands: list[tuple[signal.Signals, Sequence[object]]] = [
        (signal.SIGINT, ["ls", bucket]),
        (signal.SIGTERM, ["search", "--id", "x", bucket]),
        (signal.SIGINT, ["fetch", bucket, "--to", tmp_path / "new"]),
        (signal.SIGTERM, ["ship", tmp_path / "archive", "--to", bucket, "--once"]),
        (signal.SIGINT, ["retain", tmp_path / "archive", "--to", bucket, "--count", "1"]),
    ]
    with ExitStack() as stack:
        waiting = []
        for count, (_, command) in enumerate(commands, 1):
            line = [sys.executable, "-m", "consumer", *map(str, command)]
            process = subprocess.Popen(line, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.kill)
            waiting.append(process)
            proxy.wait_for_requests(count)
        started = time.monotonic()
        for (sign, _), process in zip(commands, waiting, strict=True):
            process.send_signal(sign)
        assert [process.wait(10) for process in waiting] == [128 + sign for sign, _ in commands]
    assert time.monotonic() - started < 10
