"""The options of `stats` as a user writes them."""

from pathlib import Path

import pytest

from consumer.errors import Exit
from tests.support.command_line import deedbox


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "type,type"], "name each field once"),
        (["--by", "time"], "use --bucket for times"),
        (["--bucket", "yearly"], "write a number and a unit: 10s, 15m, 1h, 1d or 1w"),
        (["--by", "properties.nope"], "AMQP has no property"),
        (["--workers", "-1"], "--workers -1"),
        (["--workers", "2", "--cluster", "tcp://127.0.0.1:1"], "give either --workers or --cluster"),
        (["--cluster", "here"], "write tcp://HOST:PORT"),
    ],
)
def test_wrong_options_are_one_error_line(directory: Path, arguments: list[str], message: str) -> None:
    done = deedbox("stats", directory, *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (Exit.SETTINGS, "", 1)
    assert message in done.stderr


def test_the_filters_of_search_apply(directory: Path) -> None:
    done = deedbox("stats", directory, "--by", "type", "--type", "!type.1", "--where", "serial>=90")
    assert done.stdout.splitlines() == [
        "type    events",
        "type.0       4",
        "type.2       3",
        "7 events in 2 groups, 2 archives",
    ]
    assert (done.returncode, done.stderr) == (Exit.OK, "")
