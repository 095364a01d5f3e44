"""Debian packages that the demo and the tests need, installed if they are missing.

Role: the demo needs RabbitMQ, and the tests need the tools that they call. Invariants: an installation is announced
before it begins, and it starts no service.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from consumer.errors import DeedboxError

_POLICY = Path("/usr/sbin/policy-rc.d")

PrintLine = Callable[[str], None]


class Package(NamedTuple):
    """The name of a package in Debian, and a command or the path of a file that it provides."""

    name: str
    provides: str


def install_missing(packages: Sequence[Package], print_line: PrintLine) -> None:
    """Install the packages that are missing. Raises DeedboxError with the command that installs them by hand."""
    names = missing(packages)
    if not names:
        return
    by_hand = f"run `apt-get install {' '.join(names)}` as root"
    sudo = _sudo()
    if sudo is None or shutil.which("apt-get") is None:
        raise DeedboxError(
            f"not installed: {', '.join(names)}; installing needs apt-get, and root or sudo without a password", by_hand
        )
    print_line(f"installing {', '.join(names)} from the system's packages; no service is started")
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    with _services_forbidden(sudo, by_hand):
        run([*apt, "update"], by_hand)
        run([*apt, "install", "-y", "--no-install-recommends", *names], by_hand)
    if names := missing(packages):
        raise DeedboxError(f"still missing after the installation: {', '.join(names)}", by_hand)


def missing(packages: Sequence[Package]) -> list[str]:
    """The names of the packages of which neither the command nor the file is there."""
    # Some commands, such as mkfs, are in directories that are not on the PATH of an ordinary user.
    path = os.pathsep.join([*os.get_exec_path(), "/usr/sbin", "/sbin"])
    return [package.name for package in packages if shutil.which(package.provides, os.F_OK, path) is None]


@contextmanager
def _services_forbidden(sudo: Sequence[str], by_hand: str) -> Iterator[None]:
    """Debian starts a service when it is installed, unless this file forbids it: status 101 means that the policy forbids it."""
    if _POLICY.exists():
        yield
        return
    run([*sudo, "sh", "-c", f"printf '#!/bin/sh\\nexit 101\\n' > {_POLICY} && chmod 755 {_POLICY}"], by_hand)
    try:
        yield
    finally:
        run([*sudo, "rm", "-f", str(_POLICY)], by_hand)


def _sudo() -> list[str] | None:
    """The prefix of a command that needs root; None if this user cannot run one."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo is None or subprocess.run([sudo, "-n", "true"], check=False, capture_output=True).returncode:
        return None
    return [sudo, "-n"]


def run(command: Sequence[str], by_hand: str) -> None:
    """Run a step of an installation. Raises DeedboxError with the end of its errors and the action `by_hand`."""
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise DeedboxError(f"`{' '.join(command)}` failed: {done.stderr.strip()[-300:]}", by_hand)
