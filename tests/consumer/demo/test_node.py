import signal
import socket
from pathlib import Path

from consumer.demo.node import free_ports
from tests.support.nodes import NewNode


def test_a_node_runs_in_its_directory_and_leaves_nothing(new_node: NewNode, tmp_path: Path) -> None:
    with new_node(tmp_path / "node") as node:
        assert "test" in node.control("add_vhost", "test") + node.control("list_vhosts")
        assert node.url == f"amqp://guest:guest@127.0.0.1:{node.port}/"
        node.stop(signal.SIGKILL)
        node.start()
        assert "test" in node.control("list_vhosts")
    assert not (tmp_path / "node").exists()
    marks = [f"ERL_EPMD_PORT={node.epmd_port}\0".encode() in environ for environ in _environments()]
    assert not any(marks)


def _environments() -> list[bytes]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if "epmd" in (process / "comm").read_text():
                found.append((process / "environ").read_bytes())
        except OSError:
            continue
    return found


def test_free_ports_are_free_and_different() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == len(ports)
    for port in ports:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


def test_free_ports_are_none_of_those_that_the_kernel_gives_to_connections() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(free_ports(50)) < first
