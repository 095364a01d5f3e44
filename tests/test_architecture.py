"""Which package may import which, and one owner for each risk. The picture is in `consumer/__init__.py`."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    [*(ROOT / "codec").rglob("*.py"), *(ROOT / "consumer").rglob("*.py"), *(ROOT / "deedbox").rglob("*.py")]
)

# A package -> the other packages that it may import. No package imports one that comes after it in the table.
BASE = {"codec", "consumer.errors", "consumer.log", "consumer.section"}
ALLOWED = {
    "codec": set(),
    "codec.foreign": {"codec"},
    "consumer.errors": set(),
    "consumer.log": {"consumer.visible"},
    "consumer.log_events": {"consumer.log"},
    "consumer.log_catalogue": {"consumer"},
    "consumer.section": set(),
    "consumer.stage": set(),
    "consumer.topic": {"consumer.errors"},
    "consumer.visible": set(),
    "consumer.disk": BASE,
    "consumer.objects": BASE | {"consumer.disk"},
    "consumer.amqp": BASE | {"consumer.topic"},
    "consumer.archive": BASE | {"consumer.disk", "consumer.objects"},
    "consumer.archive.reading": BASE | {"consumer.archive", "consumer.disk", "consumer.objects"},
    "consumer.archive.digests": BASE
    | {"consumer.archive", "consumer.archive.reading", "consumer.disk", "consumer.objects"},
    "consumer.archive.writing": BASE | {"consumer.archive", "consumer.archive.reading", "consumer.disk"},
    "consumer.archive.rewriting": BASE
    | {"consumer.archive", "consumer.archive.reading", "consumer.archive.writing", "consumer.disk"},
    "consumer.archive.checking": BASE
    | {
        "consumer.archive",
        "consumer.archive.digests",
        "consumer.archive.reading",
        "consumer.archive.rewriting",
        "consumer.archive.writing",
        "consumer.disk",
        "consumer.objects",
    },
    "consumer.ingest": BASE | {"consumer.amqp"},
    "consumer.watch": BASE,
    "consumer.query": BASE
    | {"consumer.archive", "consumer.archive.reading", "consumer.disk", "consumer.objects", "consumer.topic"},
    "consumer.follow": BASE
    | {
        "consumer.archive",
        "consumer.archive.reading",
        "consumer.disk",
        "consumer.objects",
        "consumer.query",
        "consumer.watch",
    },
    "consumer.convert": BASE
    | {"consumer.archive", "consumer.archive.reading", "consumer.disk", "consumer.objects", "consumer.query"},
    "consumer.ship": BASE
    | {
        "consumer.archive",
        "consumer.archive.checking",
        "consumer.archive.digests",
        "consumer.archive.reading",
        "consumer.archive.rewriting",
        "consumer.archive.writing",
        "consumer.disk",
        "consumer.follow",
        "consumer.objects",
        "consumer.query",
    },
    "consumer.replay": BASE
    | {
        "consumer.amqp",
        "consumer.archive",
        "consumer.archive.reading",
        "consumer.disk",
        "consumer.follow",
        "consumer.objects",
        "consumer.query",
        "consumer.topic",
        "consumer.watch",
    },
    "consumer.api": BASE
    | {
        "consumer.archive",
        "consumer.archive.checking",
        "consumer.archive.reading",
        "consumer.follow",
        "consumer.objects",
        "consumer.query",
        "consumer.watch",
    },
    "consumer.config": {
        "consumer.amqp",
        "consumer.archive",
        "consumer.errors",
        "consumer.forward",
        "consumer.ingest",
        "consumer.objects",
        "consumer.replay",
        "consumer.ship",
        "consumer.section",
        "consumer.visible",
    },
    "consumer.forward": BASE | {"consumer.amqp", "consumer.disk", "consumer.log_events", "consumer.watch"},
    "consumer.health": {"consumer.archive", "consumer.disk", "consumer.log"},
    "consumer.stats": {
        "consumer.archive.writing",
        "consumer.disk",
        "consumer.health",
        "consumer.ingest",
        "consumer.log",
        "consumer.log_events",
        "consumer.stage",
    },
    "consumer.service": {"consumer"},
    "consumer.demo": {"codec", "consumer"},
    "consumer.cli": {"codec", "consumer"},
    "consumer.__main__": {"consumer.cli"},
    "deedbox": BASE
    | {"consumer.api", "consumer.archive", "consumer.archive.reading", "consumer.query", "consumer.watch"},
}
TOPS = {
    "codec",
    "consumer",
    "deedbox",
}  # an import of these names everything below them; of other packages, their modules alone

# Modules and calls that only the named modules may use.
OWNERS = {
    "aio_pika": {"consumer/amqp/connection.py", "consumer/amqp/declare.py", "consumer/amqp/session.py"},
    "aiormq": {
        "consumer/amqp/connection.py",
        "consumer/amqp/declare.py",
        "consumer/amqp/errors.py",
        "consumer/amqp/publish.py",
        "consumer/amqp/publish_link.py",
        "consumer/amqp/transport.py",
        "consumer/amqp/session.py",
    },
    "pamqp": {"consumer/amqp/publish.py", "consumer/amqp/session.py"},
    "cryptography": {"consumer/archive/digests/signing.py"},
    "fcntl": {"consumer/disk/locks.py"},
    "ctypes": {"consumer/disk/syscalls.py"},
    "cyclopts": {
        f"consumer/cli/{name}.py"
        for name in (
            "app",
            "command",
            "convert",
            "filters",
            "maintain",
            "parameters",
            "proving",
            "read",
            "replay",
            "retain",
            "run",
            "ship",
            "sql",
            "stats",
        )
    },
    "structlog": {"consumer/log.py"},
    "asyncinotify": {"consumer/watch/inotify.py"},
    "obstore": {f"consumer/objects/{name}.py" for name in ("connect", "raw_listing", "remote", "translate")},
    "distributed": {"consumer/query/cluster.py"},
    "duckdb": {"consumer/query/sql.py"},
    "pyarrow": {
        "consumer/api/archives.py",
        "consumer/convert/parquet.py",
        "consumer/query/__init__.py",
        "consumer/query/arrow_batches.py",
        "consumer/query/arrow_columns.py",
        "consumer/query/arrow_dataset.py",
        "consumer/query/arrow_events.py",
        "consumer/query/arrow_pruning.py",
    },
    "regex": {"consumer/query/query.py"},
    "rich": {"consumer/cli/progress.py"},
    "signal": {
        "consumer/cli/commands/replay.py",
        "consumer/cli/commands/ship.py",
        "consumer/__main__.py",
        "consumer/cli/app.py",
        "consumer/cli/interrupt.py",
        "consumer/service.py",
        "consumer/forward/forward.py",
        "consumer/demo/node.py",
        "consumer/demo/show.py",
        "consumer/replay/mirror_worker.py",
        "consumer/ship/steps/program.py",
    },
    "subprocess": {
        "consumer/ship/steps/program.py",
        "consumer/demo/packages.py",
        "consumer/demo/node.py",
        "consumer/demo/show.py",
    },
}
CALLS = {
    "os.fsync": {"consumer/disk/durable.py"},
    "os.fdatasync": {"consumer/disk/durable.py"},
    "os.rename": set(),
    "os.replace": {"consumer/disk/durable.py"},
    "os.link": {"consumer/disk/durable.py", "consumer/disk/syscalls.py"},
    "os.environ": {
        "consumer/config/loader.py",
        "consumer/config/user_folders.py",
        "consumer/objects/connect.py",
        "consumer/demo/node.py",
        "consumer/demo/show.py",
    },
    "os.getenv": set(),
    "time.sleep": {"consumer/demo/node.py", "consumer/demo/show.py"},
}
# The codec must not use files, sockets, clocks, threads, logs, random numbers or the event loop.
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
    """The modules and names that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


MODULES = {name_of(path): path for path in SOURCES}


def within(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def module_of(name: str) -> str:
    """The module that an import names: `codec.event.Event` is in `codec.event`."""
    while name not in MODULES:
        name = name.rpartition(".")[0]
    return name


def package_of(module: str) -> str:
    """The entry of ALLOWED that a module belongs to; itself if there is none."""
    return max((package for package in ALLOWED if within(module, {package})), key=len, default=module)


def imported_modules(path: Path) -> set[str]:
    """The modules of this repository that a file imports."""
    return {module_of(name) for name in imports(path) if within(name, TOPS)}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_modules_import_only_what_they_may(path: Path) -> None:
    own = package_of(name_of(path))
    assert own in ALLOWED or own == "consumer", f"{own} has no place in the architecture"
    allowed = ALLOWED.get(own, set()) | {own}
    found = {module for module in imported_modules(path) if package_of(module) not in allowed}
    assert {module for module in found if not within(module, allowed & TOPS)} == set()


def test_no_module_imports_itself_through_others() -> None:
    graph = {name: imported_modules(path) - {name} for name, path in MODULES.items()}
    assert list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


def test_no_package_imports_itself_through_others() -> None:
    graph: dict[str, set[str]] = {}
    for name, path in MODULES.items():
        own = package_of(name)
        graph.setdefault(own, set()).update({package_of(module) for module in imported_modules(path)} - {own})
    assert list(TopologicalSorter(graph).static_order())


def declared() -> set[str]:
    """The distributions that the project names as its dependencies, extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    entries = [
        *project["dependencies"],
        *(entry for extra in project["optional-dependencies"].values() for entry in extra),
    ]
    return {re.split(r"[^A-Za-z0-9._-]", entry)[0].lower() for entry in entries}


PENDING: set[str] = set()  # dependencies whose code is being written


def test_every_direct_import_is_a_declared_dependency_and_every_dependency_is_imported() -> None:
    distributions = packages_distributions()
    foreign = {name.split(".")[0] for path in SOURCES for name in imports(path)} - sys.stdlib_module_names - TOPS
    names = {"backports": "backports.zstd", "compression": "backports.zstd"}  # Python 3.14 has it as `compression.zstd`
    names["distributed"] = "dask"  # dask[distributed]
    imported = {names.get(name) or distributions[name][0].lower() for name in foreign}
    assert imported | PENDING == declared()
    assert not imported & PENDING


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
    through_others = {"consumer/cli/convert.py": "tests/consumer/cli/commands/test_import_files.py",
                      "consumer/cli/commands/reports.py": "tests/consumer/cli/commands/test_search.py", "consumer/cli/commands/imported_events.py": "tests/consumer/cli/commands/test_import_files.py",
                      "consumer/amqp/session.py": "tests/consumer/amqp/test_connection.py",
                      "codec/profiles.py": "tests/codec/test_kvp.py", "consumer/archive/reading/found.py": "tests/consumer/archive/reading/test_reader.py",
                      "consumer/amqp/errors.py": "tests/consumer/amqp/test_connection.py", "consumer/amqp/tls.py": "tests/integration/test_tls.py", "consumer/amqp/transport.py": "tests/consumer/amqp/test_connection.py",
                      "consumer/ingest/generation.py": "tests/consumer/ingest/test_ingest.py", "consumer/ingest/watchdog.py": "tests/consumer/ingest/test_ingest.py", "consumer/ingest/interfaces.py": "tests/consumer/ingest/test_loop.py", "consumer/ingest/counters.py": "tests/consumer/ingest/test_ingest.py", "consumer/amqp/delivery.py": "tests/consumer/ingest/test_batcher.py", "consumer/stats.py": "tests/consumer/test_service.py",
                      "consumer/watch/backend.py": "tests/consumer/watch/test_backends.py",
                      "consumer/forward/line_publisher.py": "tests/consumer/forward/test_forward.py",
                      "consumer/section.py": "tests/consumer/config/test_sections.py", "consumer/log_catalogue.py": "tests/consumer/test_log.py", "consumer/archive/settings.py": "tests/consumer/config/test_sections.py",
                      "consumer/forward/settings.py": "tests/consumer/config/test_sections.py", "consumer/ingest/settings.py": "tests/consumer/config/test_sections.py",
                      "consumer/objects/settings.py": "tests/consumer/config/test_sections.py", "consumer/replay/settings.py": "tests/consumer/config/test_sections.py", "consumer/replay/mirror.py": "tests/integration/test_mirror.py",
                      "consumer/replay/mirrored_batch.py": "tests/integration/test_mirror.py", "consumer/replay/mirror_worker.py": "tests/consumer/replay/test_stage.py", "consumer/ship/steps/settings.py": "tests/consumer/config/test_checks.py", "consumer/ship/retention/settings.py": "tests/consumer/ship/retention/test_building.py"}  # fmt: skip
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
