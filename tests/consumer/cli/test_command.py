"""The help of every command: summary, group, defaults, examples that are valid command lines, and lines that fit the terminal."""

import io
import re
import shlex

import pytest
from rich.console import Console

from consumer.cli.app import app, with_stdin
from consumer.cli.command import EXAMPLES

GROUPS = {
    "Service": {"run", "replay", "watch", "demo", "health", "config"},
    "Read": {"ls", "cat", "search", "get", "tail", "sql", "stats"},
    "Maintain": {"verify", "repair", "delete", "undelete", "compact", "retain"},
    "Convert": {"import", "export"},
    "Object storage": {"fetch", "ship"},
}
COMMANDS = sorted(name for names in GROUPS.values() for name in names)


def help_of(width: int, *command: str) -> str:
    out = io.StringIO()
    app([*command, "--help"], result_action="return_value", console=Console(file=out, width=width))
    return out.getvalue()


def test_every_command_has_a_group() -> None:
    panels = re.split(r"╭─ ([\w ]+?) ─+╮\n", help_of(200))
    shown = {
        name: set(re.findall(r"^│ ([a-z]+) ", panel, re.MULTILINE))
        for name, panel in zip(panels[1::2], panels[2::2], strict=True)
    }
    assert shown == GROUPS | {"Options": set()}
    assert list(shown) == [*GROUPS, "Options"]
    assert EXAMPLES.keys() == set(COMMANDS)


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_a_summary_a_description_and_examples(name: str, width: int) -> None:
    shown = help_of(width, name)
    lines = shown.splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0].startswith(f"Usage: deedbox {name}")
    assert re.fullmatch(r"[A-Z][^.]*\.", lines[2]), "the summary is one sentence on one line"
    assert lines[3] == ""
    paragraph = shown.split("\n\n")[2]
    assert re.match(r"[A-Z`].*\.$", paragraph, re.DOTALL)
    assert lines[lines.index("Examples:") + 1 :] == [f"  deedbox {example}" for example in EXAMPLES[name]]
    assert 2 <= len(EXAMPLES[name]) <= 3


@pytest.mark.parametrize(("name", "example"), [(name, one) for name in COMMANDS for one in EXAMPLES[name]])
def test_examples_are_valid_command_lines(name: str, example: str) -> None:
    command, _, unused = app.parse_args(
        with_stdin(shlex.split(example.partition(" > ")[0])), exit_on_error=False, print_error=False
    )
    assert command.__module__.startswith("consumer.cli.")
    assert shlex.split(example)[0] == name
    assert unused == {}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_default_or_needs_none(name: str) -> None:
    shown = help_of(400, name)
    panels = "".join(re.findall(r"╭─ (?:Options|Output) ─.*?╰", shown, re.DOTALL))
    options = re.findall(r"^│ (?:\* )? *(--[a-z-]+.*?) *│$", panels, re.MULTILINE)
    flags = re.compile(r"--[a-z-]+(?: -[a-z])?  ")
    needs_none = ("--config", "--set", "--routing-key")
    assert [
        one
        for one in options
        if not ("[default: " in one or "[required]" in one or flags.match(one) or one.startswith(needs_none))
    ] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_no_empty_default(name: str) -> None:
    shown = help_of(400, name)
    assert re.findall(r"\[default: *(?:\(\)|None|False|)\]", shown) == []
