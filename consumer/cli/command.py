"""How a command is defined: its group in the list of commands, its help, and the examples of its help."""

import inspect
from collections.abc import Callable
from typing import TypeVar

import cyclopts
from cyclopts import Group, Parameter

SERVICE, READ, MAINTAIN, CONVERT, OBJECTS = (
    Group(name, sort_key=order)
    for order, name in enumerate(("Service", "Read", "Maintain", "Convert", "Object storage"))
)
OPTIONS, FILTERS, OUTPUT = (
    Group(name, sort_key=order) for order, name in enumerate(("Options", "Filters", "Output"), 10)
)
EXAMPLES: dict[str, tuple[str, ...]] = {}  # command lines, by the name of the command
C = TypeVar("C", bound=Callable[..., int])


def _version() -> str:
    from importlib.metadata import version  # its import needs a tenth of the start

    return version("deedbox")


app = cyclopts.App(
    name="deedbox",
    help="Archive every event of an AMQP exchange durably, and read the archives.",
    help_epilogue="`deedbox COMMAND --help` shows the options of a command, and examples.",
    version=_version,
    version_flags=["--version"],
    help_format="plaintext",
    group_parameters=OPTIONS,
    default_parameter=Parameter(show_default=lambda value: None if value in ((), "", False) else value),
)
for flag in ("--help", "--version"):
    app[flag].group = (OPTIONS,)


def command(name: str, group: Group, *examples: str) -> Callable[[C], C]:
    """Make a function a command of `app`. The examples are command lines without `deedbox`; tests run them through the parser."""
    EXAMPLES[name] = examples

    def register(function: C) -> C:
        lines = "\n".join(f"  deedbox {example}" for example in examples)
        app.command(function, name=name, group=group, help=_unwrapped(function), help_epilogue=f"Examples:\n{lines}")
        return function

    return register


def _unwrapped(function: Callable[..., int]) -> str:
    """The docstring with each paragraph on one line: help is wrapped for the terminal, not for the source."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
