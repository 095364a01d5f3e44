import os
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from consumer.archive.checking.report import KNOWS_MORE
from tests.support.archive_logs import archive_log, some


def deedbox(*arguments: str, stdin: int | None = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "consumer", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, stdin=stdin, timeout=60)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    one = archive_log(tmp_path)
    one.append(some(0, 2000))
    one.roll("stop")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["frob"], 'deedbox: Unknown command "frob". See `deedbox --help`.'),
        (["run", "--quee", "x"], "Did you mean --queue?"),
        (["verify"], "deedbox: PATHS: a value is missing. See `deedbox verify --help`."),
        (["export", "x", "--format", "jsonl", "--out"], "deedbox: --out: a value is missing. See"),
        (["export", "x", "--format", "jsonl"], "deedbox: --out: a value is missing. See"),
        (["run", "--set", "broker.quee=x"], "did you mean 'broker.queue'?"),
        (["cat", "--format", "xml", "x"], "xml"),
        (["search", ""], "A path is empty"),
        (["delete", "id", "x", ""], "A path is empty"),
        (["import", "x", "--format", "jsonl", "--dir", ""], "A path is empty"),
        (["watch", ""], "A path is empty"),
        (["watch", "x"], "neither an exchange nor a routing key is named"),  # it waited for a queue without a name
    ],
)
def test_a_wrong_command_line_is_one_error_line(arguments: list[str], message: str) -> None:
    done = deedbox(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "amqp://u:SECRET@h/"],
        ["run", "--set", "broker.password", "SECRET"],
        ["amqp://u:SECRET@h/"],
        ["config", "--set", "broker.password:SECRET"],
        ["config", "--set", "broker.url amqp://u:SECRET@h/?heartbeat=5"],
    ],
)
def test_a_password_in_the_wrong_place_is_not_repeated(arguments: list[str]) -> None:
    done = deedbox(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "SECRET" not in done.stderr


def test_cat_verify_and_repair_of_whole_archives(directory: Path) -> None:
    lines = deedbox("cat", str(directory)).stdout.splitlines()
    assert [orjson.loads(line)["id"] for line in lines] == [f"id-{n}" for n in range(2000)]
    verified = deedbox("verify", str(directory))
    assert (verified.returncode, verified.stdout.splitlines()[-1][:31]) == (0, "complete: 1 archive, 2000 event")
    assert deedbox("repair", str(directory)).stdout == f"nothing to do; {KNOWS_MORE}\n"


def test_damage_is_exit_status_1(tmp_path: Path) -> None:
    (tmp_path / "foreign").write_bytes(b"foreign")
    for command in ("cat", "verify", "repair"):
        done = deedbox(command, str(tmp_path / "foreign"))
        assert done.returncode == 1
        assert "Traceback" not in done.stderr


def test_a_closed_pipe_ends_cat_without_an_error(directory: Path) -> None:
    command = f"{sys.executable} -m consumer cat {directory} | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 1)


def test_config_prints_a_file_that_gives_the_same_settings(tmp_path: Path) -> None:
    given = [
        "roll.age_s=90s",
        "batch.bytes=1MiB",
        "broker.url=amqp://me@host/",
        'broker.queue_arguments={"x-delivery-limit": 20}',
    ]
    first = deedbox("config", *[part for assignment in given for part in ("--set", assignment)])
    config = tmp_path / "deedbox.toml"
    config.write_text(first.stdout)
    again = deedbox("config", "--config", str(config))
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert '\n# Seal the archive at this age, in seconds.\n# Default: "1h"\nage_s = "90s"\n' in first.stdout


def test_config_shows_no_password(tmp_path: Path) -> None:
    done = deedbox("config", "--set", "broker.url=amqp://me:in-the-url@host/", "--set", "broker.password=hidden")
    assert done.returncode == 0
    assert "in-the-url" not in done.stdout
    assert "hidden" not in done.stdout


def test_health_without_a_service_is_exit_status_1(tmp_path: Path) -> None:
    done = deedbox("health", "--dir", str(tmp_path))
    assert (done.returncode, "no service of this instance has run in" in done.stdout) == (1, True)


def test_the_version_is_shown() -> None:
    assert deedbox("--version").stdout.strip() == "0.1.0"


def test_a_state_file_that_cannot_be_written_is_not_reported_as_a_defect(tmp_path: Path) -> None:
    """Regression: it had the exit status of a defect."""
    log = tmp_path / "log"
    log.write_bytes(b"")
    done = deedbox("watch", str(log), "--exchange", "x", "--state", str(tmp_path / "missing" / "state"))
    assert (done.returncode, "make the state file writable" in done.stderr + done.stdout) == (1, True)


@pytest.mark.parametrize("module", ["attrs", "cyclopts", "msgspec", "consumer.errors"])
def test_an_interrupt_while_a_command_starts_shows_no_traceback(tmp_path: Path, module: str) -> None:
    """Regression: an interrupt in the first half second printed a traceback."""
    command = [sys.executable, "-X", "importtime", "-m", "consumer", "tail", "-f", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as starting:
        assert starting.stderr is not None
        while not starting.stderr.readline().rstrip().endswith(f" {module}"):
            assert starting.poll() is None, "imported everything without it"
        starting.send_signal(signal.SIGINT)
        assert "Traceback" not in starting.stderr.read()
    assert starting.returncode in (0, -signal.SIGINT, 128 + signal.SIGINT)


def test_a_command_starts_without_the_modules_of_other_commands() -> None:
    """Start-up time: cyclopts is the largest import, and the AMQP library or rich would double it."""
    script = "import sys, consumer.cli.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    heavy = {
        "aio_pika",
        "aiormq",
        "asyncio",
        "importlib.metadata",
        "orjson",
        "msgspec",
        "rich",
        "structlog",
        "zstandard",
    }
    assert heavy & set(done.stdout.split()) == set()
    own = {name for name in done.stdout.split() if name.startswith(("consumer.", "codec."))}
    assert {name for name in own if not name.startswith("consumer.cli")} == {
        "consumer.archive",
        "consumer.archive.location",
        "consumer.errors",
        "consumer.objects",
        "consumer.objects.url",
        "consumer.visible",
    }


COMPLETION = """
source {script}
complete_words() {{ COMP_WORDS=(deedbox "$@"); COMP_CWORD=$#; _deedbox deedbox "${{@: -1}}" "${{@: -2:1}}"; echo "${{COMPREPLY[*]}}"; }}
complete_words sea
complete_words search DIR --form
complete_words search DIR --format ""
complete_words ls {directory}/arch
"""


def test_completion_knows_commands_options_choices_and_paths(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    install = [
        sys.executable,
        "-m",
        "consumer",
        "--install-completion",
        "--shell",
        "bash",
        "--output",
        tmp_path / "script",
    ]
    subprocess.run(install, check=True, capture_output=True, env=environment)
    script = COMPLETION.format(script=tmp_path / "script", directory=tmp_path)
    done = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["search", "--format", "jsonl table raw", f"{tmp_path}/archive"]
