"""The limits of the style, as far as a machine can see them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    [*(ROOT / "codec").rglob("*.py"), *(ROOT / "consumer").rglob("*.py"), *(ROOT / "deedbox").rglob("*.py")]
)
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 300
PARAMETERS_MAX = 8
BANNED = {"manager", "helper", "helpers", "util", "utils", "common", "misc", "process", "data", "info", "do"}
BLOB_BYTES_MAX = 256 * 1024

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, Function))


def words(name: str) -> set[str]:
    return set(re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower().strip("_").split("_"))


def tracked() -> list[Path]:
    """The files of the project. Other hidden entries at the top than .ci and .gitignore are made by tools."""
    tops = [top for top in ROOT.iterdir() if not top.name.startswith(".") or top.name in (".ci", ".gitignore")]
    found = [path for top in tops for path in ([top] if top.is_file() else top.rglob("*"))]
    return [path for path in found if path.is_file() and "__pycache__" not in path.parts]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= FILE_LINES_MAX
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions(path)}
    assert {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES_MAX} == {}


def test_most_functions_are_small() -> None:
    lengths = sorted((node.end_lineno or 0) - node.lineno + 1 for path in SOURCES for node in functions(path))
    assert lengths[len(lengths) // 2] <= 15
    assert lengths[len(lengths) * 9 // 10] <= 40


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_are_words_of_the_field(path: Path) -> None:
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, Function | ast.ClassDef)]
    inherited = {"feed_data"}  # of asyncio.StreamReader
    names = [path.stem, *[node.name for node in nodes if node.name not in inherited]]
    assert {name for name in names if words(name) & BANNED} == set()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_parameters_are_few(path: Path) -> None:
    counts = {node.name: len(node.args.args) + len(node.args.kwonlyargs) for node in functions(path)}
    commands = {"run", "replay", "search", "tail", "watch", "retain"}  # each option of a command is a parameter
    assert {name: count for name, count in counts.items() if count > PARAMETERS_MAX and name not in commands} == {}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_opens_with_its_role(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_exception_to_a_rule_has_a_reason(path: Path) -> None:
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if "# noqa" in line or "type: ignore" in line:
            assert re.search(r"(# noqa: [A-Z0-9, ]+ --|# type: ignore\[[a-z-, ]+\]  #|fmt: skip) \S", line), (
                f"{path}:{number}"
            )


def test_every_page_has_one_title() -> None:
    for path in tracked():
        if path.suffix == ".md":
            text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
            assert len(re.findall(r"^# ", text, flags=re.MULTILINE)) == 1, path


def test_no_large_blob_is_committed() -> None:
    assert [
        path for path in tracked() if path.stat().st_size > BLOB_BYTES_MAX and path.name != "requirements.lock"
    ] == []


def test_nothing_names_a_download_host_or_a_machine() -> None:
    hosts = re.compile(r"https?://(?!127\.0\.0\.1|localhost|www\.apache\.org|10\.0\.|host/)[a-z0-9.-]+", re.IGNORECASE)
    for path in tracked():
        if path.suffix in (".py", ".md", ".toml", ".lock", ".sh") or path.name in ("Makefile", "run"):
            assert hosts.findall(path.read_text()) == [], path
            assert not re.search(r"/(root|home|work)/[a-z]", path.read_text()), path
