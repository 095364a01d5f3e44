"""`deedbox` as a process."""

import subprocess
import sys

import orjson


def deedbox(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "consumer", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def ids(out: str) -> list[str]:
    return [orjson.loads(line)["id"] for line in out.splitlines()]
