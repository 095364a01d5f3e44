from pathlib import Path

import pytest

from consumer.demo import broker as brokers
from consumer.demo.broker import broker, ensure_server
from consumer.errors import Exit, Fatal


def test_a_broker_that_is_named_is_taken_as_it_is() -> None:
    said: list[str] = []
    with broker({"DEEDBOX_BROKER__URL": "amqp://host/"}, said.append) as url:
        assert url == "amqp://host/"
    assert said == ["using the broker of DEEDBOX_BROKER__URL"]


def test_without_root_and_without_a_broker_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brokers, "SERVER", Path("/nowhere"))
    monkeypatch.setattr(brokers, "_sudo", lambda: None)
    with pytest.raises(Fatal, match="apt-get install rabbitmq-server") as caught:
        ensure_server(print)
    assert caught.value.exit is Exit.NO_BROKER


def test_the_default_node_is_not_started_by_the_installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[str] = []
    monkeypatch.setattr(brokers, "SERVER", Path("/nowhere"))
    monkeypatch.setattr(brokers, "_POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(brokers, "_sudo", lambda: ["sudo", "-n"])
    monkeypatch.setattr(brokers.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(brokers, "_run", lambda command: ran.append(" ".join(command)))
    ensure_server(lambda _: None)
    assert "exit 101" in ran[0]
    assert "install -y --no-install-recommends rabbitmq-server" in ran[2]
    assert ran[-1] == f"sudo -n rm -f {tmp_path / 'policy-rc.d'}"


def test_a_failed_installation_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Fatal, match="no such place") as caught:
        brokers._run(["sh", "-c", "echo no such place >&2; exit 3"])
    assert caught.value.exit is Exit.NO_BROKER
