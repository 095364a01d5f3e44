"""`get` as a user runs it."""

from pathlib import Path

import orjson

from consumer.errors import Exit
from tests.support.command_line import deedbox, ids


def test_get_prints_one_event_or_reports_that_there_is_none(directory: Path) -> None:
    assert ids(deedbox("get", "id-77", directory).stdout) == ["id-77"]
    assert deedbox("get", "id-7", directory, "--format", "raw").stdout.startswith('{"serial":7,')
    missing = deedbox("get", "id-100", directory)
    assert (missing.returncode, missing.stdout) == (Exit.NOT_FOUND, "")
    assert "id-100" in missing.stderr


def test_get_shows_the_first_of_two_equal_events(doubled: Path) -> None:
    assert ids(deedbox("get", "id-1", doubled).stdout) == ["id-1"]
    done = deedbox("get", "id-1", doubled, "--duplicates", "only")
    assert orjson.loads(done.stdout)["duplicate"] == "one-00000001:1"
    assert done.stderr == ""
    assert ids(deedbox("get", "one-00000001:3", doubled).stdout) == ["id-1"]
    done = deedbox("get", "id-0", doubled, "--duplicates", "only")
    assert done.returncode == Exit.NOT_FOUND
