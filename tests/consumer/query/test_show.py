import io
from datetime import UTC, timedelta, timezone

import orjson
import pytest

from consumer.archive.reading.cat import OutputFormat
from consumer.query.show import OutputOptions, Printer
from tests.support.archive_logs import event

EAST = timezone(timedelta(hours=2))


def printed(format: str, width: int = 160, **changes: object) -> str:
    out = io.BytesIO()
    Printer(out, OutputOptions(OutputFormat(format), EAST if changes.pop("east", False) else UTC), width).print(
        event(7)._replace(**changes), "one-00000001:0"
    )
    return out.getvalue().decode()


def test_json_lines_hold_everything() -> None:
    line = orjson.loads(printed("jsonl"))
    assert (line["id"], line["position"], line["time"]) == ("id-7", "one-00000001:0", "2025-11-21T16:15:00.000007Z")


def test_times_may_be_in_another_zone() -> None:
    line = orjson.loads(printed("jsonl", east=True))
    assert (line["time"], line["arrived"]) == ("2025-11-21T18:15:00.000007+02:00",) * 2
    assert "18:15:00.000007+02:00"[:8] in printed("table", east=True)


def test_raw_is_the_body() -> None:
    out = io.BytesIO()
    Printer(out, OutputOptions(OutputFormat.RAW)).print(event(7)._replace(body=b"\xff\x00"), "x")
    assert out.getvalue() == b"\xff\x00\n"


@pytest.mark.parametrize("width", [60, 80, 100, 160, 200])
def test_a_table_fits_the_terminal(width: int) -> None:
    shown = printed("table", width, body=b"x" * 500, type="t" * 100, id="i" * 100)
    assert {len(line) <= width for line in shown.splitlines()} == {True}
    assert shown.splitlines()[0].startswith("time ")


def test_a_terminal_of_80_columns_shows_the_body() -> None:
    """The table had only time, position and type."""
    head, row = printed("table", 80, body=b"a body").splitlines()
    assert (head.split()[-1], row[-6:], len(row) <= 80) == ("body", "a body", True)


def test_a_terminal_obeys_no_event() -> None:
    shown = printed("table", body=b"\x1b[2J\nbell\x07\xff", type="a\rb")
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert "\x07" not in shown
    assert len(shown.splitlines()) == 2


@pytest.mark.parametrize("width", [60, 80, 160])
@pytest.mark.parametrize("position", ["one-00000001:0", "host-with-a-long-name-00000123:4567890"])
def test_a_row_of_a_table_has_the_position_of_its_event(width: int, position: str) -> None:
    """An event without an id that was found could not be named."""
    out = io.BytesIO()
    Printer(out, OutputOptions(OutputFormat.TABLE), width).print(event(7)._replace(body=b"x" * 500), position)
    head, row = out.getvalue().decode().splitlines()
    assert row.split()[1] == position[: width - 28]
    assert head.split()[:2] == ["time", "position"]
