"""`python -m tests.support.packages PURPOSE...`: install the packages of the system that the tests call."""

import sys

from consumer.demo.broker import RABBITMQ
from consumer.demo.packages import Package, install_missing
from consumer.errors import DeedboxError, Exit

PACKAGES = {
    "test": (
        RABBITMQ,
        Package("zstd", "zstd"),
        Package("e2fsprogs", "mkfs.ext4"),
        Package("mount", "mount"),
        Package("util-linux", "fsfreeze"),
        Package("strace", "strace"),
        Package("openssl", "openssl"),
    ),
    "rabbitmq4": (Package("debootstrap", "debootstrap"),),
    "bench": (
        Package("gcc", "gcc"),
        Package("libc6-dev", "/usr/include/stdio.h"),
        Package("librabbitmq-dev", "/usr/include/amqp.h"),
    ),
}


def main(purposes: list[str]) -> int:
    try:
        for purpose in purposes:
            install_missing(PACKAGES[purpose], lambda text, purpose=purpose: print(f"{purpose}: {text}", flush=True))
    except DeedboxError as error:
        print(f"{purpose}: {error}", file=sys.stderr)
        return Exit.SETTINGS
    return Exit.OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
