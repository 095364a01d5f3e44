"""What CONTRIBUTING.md names exists, its commands are accepted, and the hooks before a commit need no network."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
HOOKS = (ROOT / ".pre-commit-config.yaml").read_text()
# A name on the page and the file where it must be found.
NAMES = [
    ("Exit", "consumer/errors.py"),
    ("Settings", "consumer/config/sections.py"),
    ("Search", "consumer/query/search.py"),
    ("Follower", "consumer/follow/follower.py"),
    ("READERS", "consumer/convert/imports.py"),
]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_every_target_exists() -> None:
    named = {word for words in re.findall(r"`make ([a-z0-9 -]+)", PAGE) for word in words.split()}
    assert len(named) > 8
    assert named - targets() == set()


def test_every_path_exists() -> None:
    named = set(re.findall(r"`([a-z]+/[a-zA-Z0-9_/.]*|[A-Z]+\.md|\.ci/run)`", PAGE))
    assert len(named) > 25
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_every_package_has_its_row() -> None:
    packages = {path.parent.name for path in (ROOT / "consumer").glob("*/__init__.py")}
    assert {name for name in packages if f"`consumer/{name}/`" not in PAGE} == set()


@pytest.mark.parametrize(("name", "file"), NAMES)
def test_every_name_is_where_the_page_says(name: str, file: str) -> None:
    assert f"`{name}`" in PAGE
    assert f"`{file}`" in PAGE
    assert re.search(rf"^(class )?{name}\b", (ROOT / file).read_text(), re.MULTILINE)


def test_every_test_command_is_accepted() -> None:
    commands = [shlex.split(line) for line in re.findall(r"^\.venv/bin/python (-m pytest .*)$", PAGE, re.MULTILINE)]
    assert len(commands) == 3
    for command in commands:
        done = subprocess.run(
            [sys.executable, *command, "--collect-only", "-q"], check=False, capture_output=True, text=True, cwd=ROOT
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_hooks_are_local_and_their_tools_are_in_the_lock() -> None:
    assert set(re.findall(r"repo: (\S+)", HOOKS)) == {"local"}
    tools = set(re.findall(r"entry: \.venv/bin/(\S+)", HOOKS)) - {"python"}
    assert tools == {"ruff", "mypy"}
    locked = (ROOT / "requirements.lock").read_text()
    assert all(f"\n{tool}==" in locked for tool in tools)
    for path in re.findall(r"\btests/\S+", HOOKS):
        assert (ROOT / path).exists(), path
