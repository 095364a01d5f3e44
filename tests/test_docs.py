"""The pages agree with the code about commands, settings, log events and exit statuses."""

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codec.limits import TEXT_CHARACTERS_MAX
from consumer.cli import app as cli
from consumer.config.loader import load
from consumer.config.sections import SETTINGS, Settings
from consumer.errors import Exit
from consumer.ingest.presets.describers import describe_by
from consumer.ingest.presets.names import Preset
from consumer.ingest.presets.values import TAG_CHARACTERS_MAX, TAGS_MAX
from consumer.log import LogEvent
from consumer.log_catalogue import CATALOGUE, MODULES
from consumer.objects.url import ObjectUrl
from consumer.query.arrow_columns import COLUMNS
from consumer.query.sql import MEMORY_BYTES_MAX, SPILL_BYTES_MAX, THREADS_MAX
from tests.support.archive_logs import archive_log, event
from tests.support.golden_presets import DIRECTORY, golden
from tests.support.s3 import S3

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "deploy" / "OPERATIONS.md").read_text()


def test_every_log_event_has_its_row_with_fields_and_remedy() -> None:
    for name, entry in CATALOGUE.items():
        fields = " ".join(f"`{field}`" for field in entry.fields)
        assert f"| `{name}` | {entry.level} | {fields} | {entry.meaning} | {entry.do} |" in OPERATIONS


def test_every_exit_status_has_its_row() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", OPERATIONS, re.MULTILINE)
    assert [int(status) for status, _ in rows] == [int(status) for status in Exit]


def test_every_command_of_the_readme_exists_and_none_is_missing() -> None:
    rows = set(re.findall(r"^\| `([a-z]+)", README, re.MULTILINE))
    assert rows == {command for command in cli.app if not command.startswith("-")}


def test_every_setting_that_a_page_names_exists() -> None:
    named = set(
        re.findall(
            r"`(?:--set )?((?:broker|batch|archive|roll|service|objects|ship|seal|retain|replay)\.[a-z_]+)(?==|`)",
            README + OPERATIONS,
        )
    )
    assert len(named) > 8
    assert named - SETTINGS.keys() == {"retain.reserve"}  # a file
    variables = set(re.findall(r"DEEDBOX_([A-Z_]+)", README))
    assert {name.lower().replace("__", ".").removesuffix("_file") for name in variables} - SETTINGS.keys() == set()


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    settings = Settings()
    assert f"({settings.prefetch:,})" in OPERATIONS
    assert f"({4 * settings.batch.bytes >> 20} MiB)" in OPERATIONS
    assert f"({settings.archive.free_bytes_min >> 20} MiB)" in OPERATIONS
    assert f"({settings.service.drain_s:.0f} s)" in OPERATIONS
    assert settings.roll.bytes == 128 << 20
    assert settings.roll.age_s == 3600


def test_every_target_of_the_makefile_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z0-9-]+)\b", README)) <= targets


def test_the_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = archive_log(tmp_path / "archive")
    one.append([event(1)._replace(type="compute.x", body=b'{"payload":{"vcpus":8}}'), event(2)])
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out.startswith(
        "one-00000001:0 2025-11-21 16:15:00.000001+00:00 compute.x {'payload': {'vcpus': 8}}"
    )


def test_the_commands_of_the_readme_run_in_their_order(tmp_path: Path, seaweedfs: S3, bucket: ObjectUrl) -> None:
    """All but `run` and those that follow. The first ones need a sealed archive, the others an open one too."""
    log = archive_log(tmp_path / "DIR")
    log.append([event(1)])
    log.roll("stop")
    log.append([event(2)])
    commands = re.findall(r"^deedbox ((?:search|ls|stats|sql|ship|verify|retain) .*)$", README, re.MULTILINE)
    assert len(commands) == 11
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "consumer", *shlex.split(command.replace("BUCKET", bucket.bucket))], check=False,
            capture_output=True, cwd=tmp_path, env={**os.environ, **seaweedfs.environ(), "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stdout, done.stderr)


def test_the_queries_of_the_section_on_sql_run(tmp_path: Path) -> None:
    body = b'{"payload":{"state":"error","size":3}}'
    archive_log(tmp_path / "DIR").append(
        [event(1)._replace(type="compute.x", body=body), event(2)._replace(type="job.start"), event(3)._replace(type="job.end")]
    )  # fmt: skip
    section = OPERATIONS.partition("\n## SQL\n")[2].partition("\n## ")[0]
    commands = re.findall(r"^deedbox (sql .*)$", section, re.MULTILINE)
    assert len(commands) == 7
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "consumer", *shlex.split(command.replace("--since 1d", ""))], check=False, capture_output=True,
            text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        assert done.stdout or "now()" in command
    columns = re.findall(r"`([a-z_]+)`", " ".join(re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)))
    assert sorted(columns) == sorted(COLUMNS)
    assert f"{MEMORY_BYTES_MAX >> 30} GiB of memory and {THREADS_MAX} threads" in section
    assert f"up to {SPILL_BYTES_MAX >> 30} GiB of files" in section


def test_every_file_that_the_readme_names_exists() -> None:
    for name in re.findall(r"`([a-zA-Z/_]+\.(?:md|py))`", README):
        assert (ROOT / name).exists(), name


def emitted() -> Iterator[tuple[str, str, set[str]]]:
    """Each call of `log.emit`: where it is, the constants of its event, and the fields that it names."""
    for path in sorted((ROOT / "consumer").rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "log.emit":
                named = (node.attr for node in ast.walk(call.args[0]) if isinstance(node, ast.Attribute))
                fields = {keyword.arg for keyword in call.keywords if keyword.arg}
                yield from ((f"{path.name}:{call.lineno}", name, fields) for name in named if name.isupper())


def test_every_field_that_is_logged_is_declared() -> None:
    """At run time, such a field is an AssertionError in the task that logs it."""
    events = {name: event for module in MODULES for name, event in vars(module).items() if isinstance(event, LogEvent)}
    calls = list(emitted())
    assert len(calls) > 30
    assert [(where, name) for where, name, fields in calls if not fields <= set(events[name].fields)] == []


PRESETS = OPERATIONS.partition("\n## Presets\n")[2].partition("\n## ")[0]


def test_the_searches_of_the_section_on_presets_find_samples(tmp_path: Path) -> None:
    """The samples of all presets are in one archive, as if they had come through one queue."""
    log = archive_log(tmp_path / "DIR")
    for path in sorted(DIRECTORY.glob("*.jsonl")):
        preset = next(name for name in Preset if path.name.startswith(name))
        log.append([describe_by([preset, "otel"] if preset != "otel" else [preset])(one) for one in golden(path.stem)])
    log.roll("stop")
    commands = re.findall(r"^deedbox (search .*)$", PRESETS, re.MULTILINE)
    assert len(commands) == 10
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "consumer", *shlex.split(command)], check=False, capture_output=True, text=True, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert (done.returncode, bool(done.stdout)) == (0, True), (command, done.stderr)


def test_the_services_of_the_section_on_presets_have_valid_settings() -> None:
    commands = [shlex.split(line) for line in re.findall(r"^deedbox (run .*)$", PRESETS, re.MULTILINE)]
    flags = {"--queue": "broker.queue", "--exchange": "broker.exchange", "--binding-key": "broker.binding_keys"}
    for command in commands:
        pairs = list(zip(command[1::2], command[2::2], strict=True))
        load(None, {}, {}, [value if flag == "--set" else f"{flags[flag]}={value}" for flag, value in pairs])
    described = ",".join(part for command in commands for part in command if part.startswith("archive.describe="))
    assert all(preset in described for preset in Preset if preset != Preset.AMQP)


def test_every_preset_has_its_row_and_the_function_of_the_page_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert re.findall(r"^\| `([a-z-]+)` \|", PRESETS, re.MULTILINE) == [name for name in Preset if name != Preset.AMQP]
    (code,) = re.findall(r"```python\n(.*?)```", PRESETS, re.DOTALL)
    (tmp_path / "of_the_page.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    found = describe_by(["of_the_page:describe"])(golden("otel")[0])
    assert (found.type, found.tags) == ("shop.order.placed", ("tenant:acme",))
    assert f"at most {TAGS_MAX} tags" in PRESETS
    assert f"more than {TAG_CHARACTERS_MAX:,} characters gives no tag" in PRESETS
    assert f"at most {TEXT_CHARACTERS_MAX:,} characters" in PRESETS
