"""Who may import whom, and one owner for each risk. The picture is in `consumer/__init__.py`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*(ROOT / "codec").rglob("*.py"), *(ROOT / "consumer").rglob("*.py")])

# A package of ours -> the packages of ours that it may import. What is not named may import nothing of ours.
ALLOWED = {
    "codec": {"codec"},
    "consumer.errors": set(),
    "consumer.log": set(),
    "consumer.archive": {"codec", "consumer.archive", "consumer.errors", "consumer.log"},
    "consumer.ingest": {"codec", "consumer.ingest", "consumer.errors", "consumer.log", "consumer.topic"},
    "consumer.topic": {"consumer.errors"},
    "consumer.query": {
        "codec",
        "consumer.archive",
        "consumer.errors",
        "consumer.log",
        "consumer.query",
        "consumer.topic",
        "consumer.watch",
    },
    "consumer.watch": {"codec", "consumer.errors", "consumer.log", "consumer.watch"},
    "consumer.cli.reading": {
        "codec",
        "consumer.archive",
        "consumer.errors",
        "consumer.cli.printing",
        "consumer.cli.progress",
        "consumer.query",
        "consumer.watch",
    },
    "consumer.forward.forward": {
        "consumer.archive",
        "consumer.errors",
        "consumer.ingest",
        "consumer.log",
        "consumer.config.sections",
        "consumer.watch",
        "consumer.forward.messages",
        "consumer.forward.state",
    },
    "consumer.forward.messages": {"consumer.ingest", "consumer.watch"},
    "consumer.forward.state": {"consumer.archive", "consumer.errors", "consumer.watch"},
    "consumer.cli.deleting": {"codec", "consumer.archive", "consumer.errors", "consumer.query"},
    "consumer.cli.filters": {"consumer.query"},
    "consumer.cli.read": {"consumer"},
    "consumer.archive.rewriting.repacker": {"consumer.archive", "consumer.errors", "consumer.log"},
    "consumer.cli.converting": {
        "codec",
        "consumer.archive",
        "consumer.errors",
        "consumer.cli.progress",
        "consumer.query",
    },
    "consumer.cli.progress": set(),
    "consumer.cli.printing": set(),
    "consumer.health": {"consumer.archive", "consumer.log"},
    "consumer.config.sections": {"consumer.archive", "consumer.ingest"},
    "consumer.config.loader": {"consumer.archive", "consumer.ingest", "consumer.errors", "consumer.config.sections"},
    "consumer.stats": {"consumer.archive", "consumer.ingest", "consumer.health", "consumer.log"},
    "consumer.service": {"consumer"},
    "consumer.demo": {"codec", "consumer"},
    "consumer.cli.app": {"consumer"},
    "consumer.__main__": {"consumer.cli.app"},
}

# What only these modules may name: a module to import, or a call to make.
OWNERS = {
    "aio_pika": {"consumer/amqp/connection.py", "consumer/amqp/declare.py"},
    "aiormq": {
        "consumer/amqp/connection.py",
        "consumer/amqp/declare.py",
        "consumer/amqp/fallback.py",
        "consumer/amqp/errors.py",
        "consumer/amqp/publish.py",
    },
    "fcntl": {"consumer/disk/locks.py"},
    "ctypes": {"consumer/disk/syscalls.py"},
    "cyclopts": {"consumer/cli/app.py", "consumer/cli/filters.py", "consumer/cli/read.py"},
    "structlog": {"consumer/log.py"},
    "asyncinotify": {"consumer/watch/inotify.py"},
    "pyarrow": {"consumer/convert/parquet.py"},
    "regex": {"consumer/query/query.py"},
    "rich": {"consumer/cli/progress.py"},
    "signal": {
        "consumer/__main__.py",
        "consumer/cli/app.py",
        "consumer/service.py",
        "consumer/forward/forward.py",
        "consumer/demo/node.py",
        "consumer/demo/show.py",
    },
    "subprocess": {"consumer/demo/packages.py", "consumer/demo/node.py", "consumer/demo/show.py"},
}
CALLS = {
    "os.fsync": {"consumer/disk/durable.py"},
    "os.fdatasync": {"consumer/disk/durable.py"},
    "os.rename": set(),
    "os.replace": {"consumer/disk/durable.py"},
    "os.link": {"consumer/disk/durable.py", "consumer/disk/syscalls.py"},
    "os.environ": {"consumer/config/loader.py", "consumer/demo/node.py", "consumer/demo/show.py"},
    "os.getenv": set(),
    "time.sleep": {"consumer/demo/node.py", "consumer/demo/show.py"},
}
# What the codec must not know: files, sockets, clocks, threads, logs, chance and the loop.
NOT_IN_CODEC = {
    "os",
    "io",
    "pathlib",
    "socket",
    "time",
    "threading",
    "logging",
    "random",
    "asyncio",
    "tempfile",
    "subprocess",
    "aiofiles",
}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_modules_import_only_what_they_may(path: Path) -> None:
    name = name_of(path)
    packages = [package for package in ALLOWED if within(name, {package})]
    assert packages or name == "consumer", f"{name} has no place in the architecture"
    allowed = ALLOWED[max(packages, key=len)] if packages else set()
    ours = [found for found in imports(path) if found.split(".")[0] in ("codec", "consumer")]
    assert [found for found in ours if not within(found, allowed)] == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_risk_has_one_owner(path: Path) -> None:
    place = str(path.relative_to(ROOT))
    found = {name.split(".")[0] for name in imports(path)}
    assert {name for name in found & OWNERS.keys() if place not in OWNERS[name]} == set()
    called = {ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    assert {call for call in called & CALLS.keys() if place not in CALLS[call]} == set()


@pytest.mark.parametrize("path", [path for path in SOURCES if name_of(path).startswith("codec")], ids=name_of)
def test_the_codec_knows_bytes_and_nothing_else(path: Path) -> None:
    assert {name.split(".")[0] for name in imports(path) if name != "io.BytesIO"} & NOT_IN_CODEC == set()
    assert not re.search(r"\bopen\(", path.read_text())


def test_stages_do_not_import_each_other() -> None:
    stages = {"consumer.archive", "consumer.ingest"}
    for path in SOURCES:
        own = {stage for stage in stages if within(name_of(path), {stage})}
        if own:
            assert [found for found in imports(path) if within(found, stages - own)] == []


def has_code(path: Path) -> bool:
    tree = ast.parse(path.read_text())
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for node in tree.body)


def test_every_module_has_a_test_module_of_its_own() -> None:
    """The service is tested as a process, its parts where they are."""
    through_others = {"consumer/cli/read.py": "tests/consumer/cli/test_reading.py", "consumer/cli/filters.py": "tests/consumer/cli/test_reading.py", "consumer/amqp/fallback.py": "tests/consumer/amqp/test_connection.py",
                      "codec/profiles.py": "tests/codec/test_kvp.py", "consumer/archive/reading/found.py": "tests/consumer/archive/reading/test_reader.py",
                      "consumer/config/sections.py": "tests/consumer/config/test_loader.py", "consumer/amqp/errors.py": "tests/consumer/amqp/test_connection.py", "consumer/amqp/tls.py": "tests/integration/test_tls.py",
                      "consumer/ingest/generation.py": "tests/consumer/ingest/test_ingest.py", "consumer/stats.py": "tests/consumer/test_service.py"}  # fmt: skip
    missing = []
    for path in SOURCES:
        place = path.relative_to(ROOT)
        if path.name.startswith("__") or not has_code(path):
            continue
        test = through_others.get(str(place), str(Path("tests") / place.parent / f"test_{path.name}"))
        if not (ROOT / test).exists():
            missing.append(test)
    assert missing == []


def test_every_test_module_tests_something_that_exists() -> None:
    for test in [*(ROOT / "tests" / "codec").rglob("test_*.py"), *(ROOT / "tests" / "consumer").rglob("test_*.py")]:
        place = test.relative_to(ROOT / "tests")
        if test.name != "test_format.py":  # of a page, not of a module
            assert (ROOT / place.parent / test.name.removeprefix("test_")).exists(), test
