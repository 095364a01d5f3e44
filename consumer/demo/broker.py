"""A broker for the demo and the tests: the one that was named, or a private node; installed if that is possible."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from consumer.demo.node import SERVER, Node
from consumer.errors import Exit, Fatal

URL_VARIABLE = "DEEDBOX_BROKER__URL"
_POLICY = Path("/usr/sbin/policy-rc.d")

Say = Callable[[str], None]


@contextmanager
def broker(environ: Mapping[str, str], say: Say) -> Iterator[str]:
    """The URL of a broker, for the time of the block. Raises Fatal with what to install."""
    if url := environ.get(URL_VARIABLE):
        say(f"using the broker of {URL_VARIABLE}")
        yield url
        return
    ensure_server(say)
    with Node() as node:
        say(f"private RabbitMQ node on port {node.port}, in {node.root}")
        yield node.url


def ensure_server(say: Say) -> None:
    """RabbitMQ is installed afterwards: it was, or it is now, from the system's packages. Raises Fatal."""
    if SERVER.exists():
        return
    sudo = _sudo()
    if sudo is None or shutil.which("apt-get") is None:
        raise Fatal(
            Exit.NO_BROKER,
            "no broker: RabbitMQ is not installed, and it takes root and apt-get to install it",
            f"run `apt-get install rabbitmq-server` as root, or set {URL_VARIABLE}",
        )
    say("installing rabbitmq-server from the system's packages (35 MB); its default node is not started")
    # Debian starts services on installation unless this file says no: 101 means forbidden by policy.
    ours = not _POLICY.exists()
    if ours:
        _run([*sudo, "sh", "-c", f"printf '#!/bin/sh\\nexit 101\\n' > {_POLICY} && chmod 755 {_POLICY}"])
    try:
        _run([*sudo, "apt-get", "-qq", "update"])
        _run(
            [
                *sudo,
                "env",
                "DEBIAN_FRONTEND=noninteractive",
                "apt-get",
                "-qq",
                "install",
                "-y",
                "--no-install-recommends",
                "rabbitmq-server",
            ]
        )
    finally:
        if ours:
            _run([*sudo, "rm", "-f", str(_POLICY)])


def _sudo() -> list[str] | None:
    """What to put before a command that needs root; None if nothing helps."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    return (
        [sudo, "-n"]
        if sudo and subprocess.run([sudo, "-n", "true"], check=False, capture_output=True).returncode == 0
        else None
    )


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise Fatal(
            Exit.NO_BROKER,
            f"`{' '.join(command)}` failed: {done.stderr.strip()[-300:]}",
            f"install rabbitmq-server by hand, or set {URL_VARIABLE}",
        )
