"""The rules of the tests: skips are visible and can be forbidden, private names stay private, and tests with a broker have its marker."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def run_pytest(directory: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    (directory / "test_one.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.support.skips", "--rootdir", directory, *options]
    return subprocess.run([*command, directory], check=False, capture_output=True, text=True, cwd=TESTS.parent)


SKIPPING = """
import pytest

def test_itself():
    pytest.skip("no tool")

@pytest.mark.skipif(True, reason="no tool")
def test_by_a_mark(): ...

@pytest.fixture
def tool():
    pytest.skip("no tool")

def test_by_a_fixture(tool): ...
"""


def test_a_skip_fails_where_skips_are_forbidden(tmp_path: Path) -> None:
    (tmp_path / "test_module.py").write_text("import pytest\npytest.skip('no tool', allow_module_level=True)\n")
    allowed = run_pytest(tmp_path, SKIPPING)
    assert (allowed.returncode, "4 skipped" in allowed.stdout) == (0, True)
    forbidden = run_pytest(tmp_path, SKIPPING, "--forbid-skips", "--continue-on-collection-errors")
    assert (forbidden.returncode, "skipped" in forbidden.stdout.splitlines()[-1]) == (1, False)
    assert forbidden.stdout.count("no tool") >= 4


# Private names of other objects that tests still use, by file. Do not add to this table: test what the public names show.
PRIVATE_USES = {
    "consumer/amqp/test_connection.py": {"_channel", "_connection"},
    "consumer/amqp/test_publish.py": {"_channel"},
    "consumer/amqp/test_receive.py": {"_clock", "_last_drained", "_last_keepalive"},
    "consumer/archive/writing/test_archive_log.py": {"_abandoned"},
    "consumer/ingest/test_failed_batches.py": {"_any_postponed", "_wait_s"},
    "consumer/ingest/test_ingest.py": {"_pause_s"},
    "support/altered.py": {"_cancel"},
}
DOCUMENTED = {
    "_replace",
    "_asdict",
    "_make",
    "_fields",
    "_exit",
}  # of the standard library, and public in spite of the underscore


def private_uses(path: Path) -> set[str]:
    """Private attributes that a test uses of an object that is not its own."""
    found = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
    private = [node for node in found if node.attr.startswith("_") and not node.attr.startswith("__")]
    own = {node.attr for node in private if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")}
    inherited = {node.attr for node in private if isinstance(node.value, ast.Call)}  # super()._name
    return {node.attr for node in private} - own - inherited - DOCUMENTED


@pytest.mark.parametrize(
    "path", [path for path in sorted(TESTS.rglob("*.py")) if path.parts[len(TESTS.parts)] != "bench"],
    ids=lambda path: str(path.relative_to(TESTS)),
)  # fmt: skip
def test_tests_use_public_names(path: Path) -> None:
    assert private_uses(path) <= PRIVATE_USES.get(str(path.relative_to(TESTS)), set())


def test_no_test_starts_a_node_except_through_the_fixture() -> None:
    """It would run on the RabbitMQ of the machine where another one is to be tested, and without the marker."""
    for path in sorted(TESTS.rglob("*.py")):
        if path.parts[len(TESTS.parts)] == "bench" or path == TESTS / "support" / "nodes.py":
            continue
        called = {
            ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        }
        assert not called & {"Node", "node.Node", "broker.broker"}, path


def test_every_module_that_uses_the_broker_is_marked() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-m", "broker", str(TESTS / "integration"),
               str(TESTS / "consumer" / "demo")]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=TESTS.parent)
    marked = {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line}
    assert {"tests/integration/test_tls.py", "tests/integration/test_broker_restart.py", "tests/integration/test_kill.py",
            "tests/consumer/demo/test_node.py", "tests/consumer/demo/test_show.py"} <= marked  # fmt: skip
    assert "tests/consumer/demo/test_notifications.py" not in marked
