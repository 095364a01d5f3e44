"""RabbitMQ nodes for the tests, from the system's package or from the chroot that an environment variable names."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from consumer.demo.broker import ensure_server
from consumer.demo.node import Node

ROOT_VARIABLE = "TEST_RABBITMQ_ROOT"
# The largest message of RabbitMQ 3 by default; RabbitMQ 4 accepts 16 MiB.
BODY_BYTES_MAX = 128 << 20


class NewNode(Protocol):
    """Makes a node that is not started yet."""

    def __call__(self, root: Path | None = None, extra_conf: str = "", plugins: Sequence[str] = ()) -> Node: ...


def new_node(root: Path | None = None, extra_conf: str = "", plugins: Sequence[str] = ()) -> Node:
    chroot = os.environ.get(ROOT_VARIABLE)
    if chroot is None:
        ensure_server(print)
    return Node(root, extra_conf, plugins, chroot=Path(chroot) if chroot else None)
