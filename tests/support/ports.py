"""Free ports of this machine for servers that tests start."""

import socket
from contextlib import ExitStack


def free_ports(count: int) -> list[int]:
    """Ports that were free, all different.

    They are below the range from which the kernel chooses ports for connections, so that no connection of another test takes one
    between this call and the start of the server, or while the server is restarted.
    """
    with ExitStack() as stack:
        return [_bound(stack) for _ in range(count)]


def _bound(stack: ExitStack) -> int:
    from random import SystemRandom

    while True:
        sock = stack.enter_context(socket.socket())
        port = SystemRandom().randrange(10_000, 30_000)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            continue
        return port
