"""All commands that read events have the same filters."""

from pathlib import Path

import pytest

from codec.amqp import Field, encode_header
from consumer.errors import Exit
from tests.support.archive_logs import archive_log, some
from tests.support.command_line import deedbox, ids


@pytest.mark.parametrize("command", ["cat", "search", "tail", "export"])
@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["--arrived-since", "2026-01-01"], [3, 4]),
        (["--arrived-until", "2025-12-31"], [1, 2]),
        (["--since", "2025-11-21T16:15:00.000002Z", "--until", "2025-11-21T16:15:00.000003Z"], [2, 3]),
        (["--type", "type.1", "--id", "id-1", "--id", "id-2", "--match", "x{20}"], [1]),
        (["--where", "serial>=2", "--exchange", "ex*", "--routing-key", "key", "--type", "!type.0"], [2, 4]),
        (["--tag", "a"], [4]),
        (["--routing-key", "user.#"], [3]),
        (["--header", "retries>=3"], [4]),
        (["--where", "properties.app_id=nova"], [4]),
    ],
)
def test_every_command_that_reads_events_has_the_same_filters(
    tmp_path: Path, command: str, filters: list[str], found: list[int]
) -> None:
    one = archive_log(tmp_path / "archive")
    one.append(some(1, 2))
    late = [event._replace(arrived_us=event.arrived_us + 86_400_000_000 * 60) for event in some(3, 2)]
    header = encode_header({"headers": (("retries", Field("I", 3)),), "app_id": "nova"})
    one.append([late[0]._replace(routing_key="user.eu.created"), late[1]._replace(tags=("a",), header=header)])
    extra = ["--format", "jsonl", "--out", tmp_path / "out"] if command == "export" else []
    done = deedbox(command, tmp_path / "archive", *extra, *filters)
    assert (done.returncode, done.stderr) == (Exit.OK, "")
    out = (tmp_path / "out" / "events.jsonl").read_text() if command == "export" else done.stdout
    assert ids(out) == [f"id-{serial}" for serial in found]
