"""The section "Backup and restore of a queue" of the operator's page: its commands move 20,000 messages out of a queue and back."""

import re
import shlex
from collections import Counter
from pathlib import Path

import pytest

from consumer.errors import Exit
from tests.integration.test_kill import of_event
from tests.integration.test_until_empty import MESSAGES, QUORUM, fill, wanted
from tests.support import archives
from tests.support.command_line import deedbox
from tests.support.messages import messages
from tests.support.wire import WirePublisher

PAGE = Path(__file__).parents[2] / "deploy" / "OPERATIONS.md"


def recipe(url: str, queue: str, directory: Path) -> list[list[str]]:
    section = PAGE.read_text().partition("\n## Backup and restore of a queue\n")[2].partition("\n## ")[0]
    commands = re.findall(r"^deedbox (.*)$", section, re.MULTILINE)
    names = {"amqp://HOST/": url, "DIR": str(directory), "jobs": queue}
    return [[names.get(word, word) for word in shlex.split(command)] for command in commands]


@pytest.mark.parametrize("arguments", [b"", QUORUM], ids=["classic", "quorum"])
def test_the_recipe_moves_a_queue_out_and_back(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path, arguments: bytes
) -> None:
    publisher.declare(name, arguments)
    sent = list(messages(MESSAGES, seed=14))
    fill(publisher, name, sent)
    backup, verify, restore = recipe(url, name, tmp_path / "backup")
    assert deedbox(*backup).returncode == Exit.OK
    assert publisher.messages(name) == (0, 0)
    assert deedbox(*verify).returncode == Exit.OK
    done = deedbox(*restore)
    assert (done.returncode, done.stderr) == (Exit.OK, "")
    assert done.stdout.startswith(f"published: {MESSAGES} events")
    assert publisher.messages(name)[0] == MESSAGES
    assert deedbox(*restore).stdout.startswith("published: 0 events")
    (again, _, _) = recipe(url, name, tmp_path / "again")
    assert deedbox(*again).returncode == Exit.OK
    assert Counter(map(of_event, archives.unmarked(tmp_path / "again"))) == wanted(name, sent)
