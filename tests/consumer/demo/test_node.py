import signal
from pathlib import Path

from consumer.demo.node import free_port
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
    assert len({free_port() for _ in range(5)}) > 1
