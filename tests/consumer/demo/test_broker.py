from pathlib import Path

import pytest

from consumer.demo import broker as brokers
from consumer.demo import packages
from consumer.demo.broker import broker, ensure_server
from consumer.demo.packages import Package
from consumer.errors import Exit, Fatal


def test_a_broker_that_is_named_is_used_and_not_changed() -> None:
    lines: list[str] = []
    with broker({"DEEDBOX_BROKER__URL": "amqp://host/"}, lines.append) as url:
        assert url == "amqp://host/"
    assert lines == ["using the broker of DEEDBOX_BROKER__URL"]


def test_without_root_and_without_a_broker_the_error_names_both_solutions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brokers, "RABBITMQ", Package("rabbitmq-server", str(Path("/nowhere"))))
    monkeypatch.setattr(packages, "_sudo", lambda: None)
    with pytest.raises(Fatal, match="apt-get install rabbitmq-server` as root, or set DEEDBOX_BROKER__URL") as caught:
        ensure_server(print)
    assert caught.value.exit is Exit.NO_BROKER
