"""The tests' own rules: skips are visible and can be forbidden, and every test that uses a broker is found by its marker."""

import ast
import subprocess
import sys
from pathlib import Path

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
