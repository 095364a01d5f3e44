"""OpenStack Swift with its S3 interface, as one process with ports of its own."""

import sys
from pathlib import Path

from consumer.demo.node import free_ports
from tests.support.s3 import S3, is_ready
from tests.support.server import Server

USER, KEY = "test:tester", "testing"


def swift(directory: Path) -> tuple[Server, S3]:
    """A server on the files of `directory`, not started yet, and how to reach it."""
    s3 = S3(free_ports(1)[0], USER, KEY)
    command = [
        sys.executable, "-W", "ignore", "-m", "tests.support.swift_process", str(directory / "data"), str(s3.port), USER, KEY
    ]  # fmt: skip
    return Server(command, directory / "swift.log", lambda: is_ready(s3, "/healthcheck")), s3
