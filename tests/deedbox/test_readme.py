"""The examples of the page run, and print what the page shows."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from codec.amqp import Field, encode_header
from codec.event import Event, parse_time
from tests.support.archive_logs import archive_log

PAGE = (Path(__file__).parents[2] / "deedbox" / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)


def compute(id: str, time: str, kind: str, vcpus: int, retries: int) -> Event:
    headers = (("retries", Field("I", retries)),)
    properties = {"content_type": "application/json", "headers": headers, "message_id": id, "app_id": "nova"}
    time_us = parse_time(time)
    body = b'{"vcpus": %d}' % vcpus
    return Event(id, kind, time_us, time_us + 2000, "nova", kind, encode_header(properties), body)


EVENTS = [
    compute("c1", "2026-11-21T16:15:00Z", "compute.create.start", 2, 0),
    compute("c2", "2026-11-21T16:15:04.25Z", "compute.create.end", 2, 0),
    compute("c3", "2026-11-21T16:20:00Z", "compute.exists", 8, 1),
    compute("n1", "2026-11-21T16:21:00Z", "network.create", 0, 0),
]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    archive_log(tmp_path / "archive", instance="host1").append(EVENTS)
    log = archive_log(tmp_path / "damaged", instance="host1")
    log.append(EVENTS[:2])
    log.append(EVENTS[2:])
    log.roll("test")
    (path,) = (tmp_path / "damaged").rglob("*.kvp.zst")
    raw = bytearray(path.read_bytes())
    frame = [match.start() for match in re.finditer(re.escape(b"\x28\xb5\x2f\xfd"), raw)][1]
    raw[frame + 20] ^= 0xFF
    path.write_bytes(raw)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "app.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("directory")
def test_the_examples_print_what_the_page_shows() -> None:
    assert len(EXAMPLES) == PAGE.count("```python")
    names: dict[str, object] = {}
    for code, output in EXAMPLES:
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(code, names)
        assert printed.getvalue() == output, code
