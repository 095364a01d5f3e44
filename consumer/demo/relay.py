"""A TCP relay to the broker that can drop the bytes of the client, like a connection that is about to fail.

Role: the demo and the tests put it between the service and the broker. Then batches are archived, and their acknowledgements do not
arrive. Invariant: `cut` closes both sides, so the broker delivers unacknowledged messages again.
"""

import selectors
import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

CONNECT_S_MAX = 30.0


class Relay:
    """Listens on its own port and forwards to the broker of `url`. Clients connect to `self.url`. It cannot relay TLS."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "", parts.port or 5672)
        self._listener = socket.create_server(("127.0.0.1", 0))
        login = parts.netloc.rpartition("@")[0]
        place = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = urlunsplit(parts._replace(netloc=f"{login}@{place}" if login else place))
        self._mute = threading.Event()
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def mute(self) -> None:
        """From now on the broker receives nothing from the client. The client still receives from the broker."""
        self._mute.set()

    def cut(self) -> None:
        """Close the connections on both sides. New connections are forwarded in both directions."""
        sockets, self._sockets = self._sockets, []
        for one in sockets:
            _shut_down(one)
        self._mute.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _shut_down(self._listener)  # wakes the thread that accepts
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            try:
                broker = socket.create_connection(self._target, CONNECT_S_MAX)
            except OSError:
                client.close()  # the client sees that the broker cannot be reached
                continue
            self._sockets += [client, broker]
            threading.Thread(target=self._forward, args=(client, broker), name="relay", daemon=True).start()

    def _forward(self, client: socket.socket, broker: socket.socket) -> None:
        try:
            self._copy(client, broker)
        except OSError:
            pass  # one side has closed; the other one is closed below
        finally:
            client.close()
            broker.close()

    def _copy(self, client: socket.socket, broker: socket.socket) -> None:
        with selectors.DefaultSelector() as ready:
            for source, target in ((client, broker), (broker, client)):
                ready.register(source, selectors.EVENT_READ, (source, target))
            while True:
                for key, _ in ready.select():
                    source, target = key.data
                    raw = source.recv(1 << 16)
                    if not raw:
                        return
                    if source is broker or not self._mute.is_set():
                        target.sendall(raw)


def _shut_down(one: socket.socket) -> None:
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it is closed, or was never connected
