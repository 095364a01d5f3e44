import socket
from urllib.parse import urlsplit

from consumer.demo.relay import Relay


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), 10)


def test_a_muted_relay_drops_the_bytes_of_the_client_and_a_cut_one_closes_both_sides() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as broker,
        Relay(f"amqp://u:p@127.0.0.1:{broker.getsockname()[1]}/v") as relay,
    ):
        assert relay.url.startswith("amqp://u:p@127.0.0.1:")
        assert relay.url.endswith("/v")
        client = connect(relay.url)
        inside, _ = broker.accept()
        inside.settimeout(10)
        client.sendall(b"there")
        assert inside.recv(9) == b"there"
        relay.mute()
        client.sendall(b"lost")
        inside.sendall(b"back")
        assert client.recv(9) == b"back"
        relay.cut()
        assert inside.recv(9) == b""
        assert client.recv(9) == b""
        second = connect(relay.url)
        again, _ = broker.accept()
        again.settimeout(10)
        second.sendall(b"there")
        assert again.recv(9) == b"there"
        for one in (client, inside, second, again):
            one.close()


def test_a_broker_that_is_not_there_closes_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with Relay(f"amqp://127.0.0.1:{port}/") as relay, connect(relay.url) as client:
        assert client.recv(9) == b""
