"""`deedbox` as a process."""

import os
import subprocess
import sys

import orjson


def deedbox(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. A table is as wide as without a terminal."""
    command = [sys.executable, "-m", "consumer", *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=environment)


def ids(out: str) -> list[str]:
    """The ids of events in JSON lines."""
    return [orjson.loads(line)["id"] for line in out.splitlines()]
