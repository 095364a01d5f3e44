"""The section "A stuck dead-letter queue" of the operator's page: its commands run in their order on a real broker, and print what it shows."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from codec.amqp import encode_header
from consumer.errors import Exit
from tests.support.command_line import deedbox
from tests.support.dying import arguments, wait_until
from tests.support.wire import WirePublisher

PAGE = Path(__file__).parents[2] / "deploy" / "OPERATIONS.md"
BLOCK = re.compile(r"^```sh\ndeedbox ([^\n]*)\n```\n(?:\n```text\n(.*?)\n```)?", re.MULTILINE | re.DOTALL)
# What differs in each run.
VARIES = [
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*Z?"), "TIME"),
    (re.compile(r"in \d+\.\d s, [\d,]+ a second"), "in SECONDS"),
    (re.compile(r"\b\d+ B\b"), "SIZE"),
]  # fmt: skip

FAULTS = [
    ("order.new", b"database"), ("order.new", b"database"), ("order.new", b"no price"), ("order.new", b"database"),
    ("order.changed", b"database"), ("payment.done", b""), ("order.changed", b"no price"),
]  # fmt: skip


def recipe() -> list[tuple[str, str]]:
    """Each command of the section, without `deedbox`, and its output."""
    section = PAGE.read_text().partition("\n## A stuck dead-letter queue\n")[2].partition("\n## ")[0]
    return [(command, output) for command, output in BLOCK.findall(section)]


def stable(text: str) -> str:
    for pattern, name in VARIES:
        text = pattern.sub(name, text)
    return " ".join(text.split())


@pytest.fixture
def shop(publisher: WirePublisher) -> Iterator[WirePublisher]:
    """Six orders that their consumer rejected, two of them because of their content, and a payment that expired."""
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "orders.dead"}
    publisher.declare("orders.dead")
    publisher.declare("orders", arguments(**dead))
    publisher.declare("payments", arguments(**dead, **{"x-message-ttl": 1}))
    publisher.declare_exchange("shop")
    publisher.bind("orders", "shop", b"order.#")
    publisher.bind("payments", "shop", b"payment.#")
    for serial, (kind, fault) in enumerate(FAULTS):
        header = encode_header({"message_id": f"m{serial}", "type": kind, "timestamp": 1_795_000_000 + serial})
        publisher.publish(b"shop", kind.encode(), header, b'{"order":%d,"fault":"%b"}' % (serial, fault))
        publisher.wait_for_confirms()
        if kind.startswith("order"):
            publisher.get("orders")
            publisher.reject()
        wait_until(lambda serial=serial: publisher.messages("orders.dead")[0] == serial + 1)
    yield publisher
    for queue in ("orders", "orders.dead", "payments"):
        publisher.delete(queue)
    publisher.delete_exchange("shop")


def test_the_recipe_does_what_it_shows(shop: WirePublisher, url: str, tmp_path: Path) -> None:
    commands = recipe()
    assert len(commands) == 6
    for command, output in commands:
        found = shlex.split(command.replace("amqp://HOST/", url).replace(" DIR", f" {tmp_path / 'DIR'}"))
        done = deedbox(*found)
        assert (done.returncode, done.stderr) == (Exit.OK, ""), command
        assert stable(output) in stable(done.stdout.replace(str(tmp_path / "DIR"), "DIR")), command
    assert (shop.messages("orders")[0], shop.messages("orders.dead")[0]) == (4, 0)
