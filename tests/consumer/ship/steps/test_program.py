import os
import sys
import threading
import time
from pathlib import Path

import pytest

from consumer.errors import DeedboxError
from consumer.ship.steps.program import OUTPUT_BYTES_MAX, run_program

PYTHON = sys.executable


def python(code: str, timeout_s: float = 30.0, environ: dict[str, str] | None = None) -> None:
    run_program([PYTHON, "-c", code], environ or {}, timeout_s)


def test_a_program_gets_exactly_the_environment(tmp_path: Path) -> None:
    code = f"import os; open({str(tmp_path / 'out')!r}, 'w').write(os.environ['A'] + str('HOME' in os.environ))"
    python(code, environ={"A": "b"})
    assert (tmp_path / "out").read_text() == "bFalse"


def test_a_program_that_fails_is_an_error_with_status_and_output() -> None:
    with pytest.raises(DeedboxError, match="exit status 3: it is so"):
        python("import sys; print('it is so', file=sys.stderr); sys.exit(3)")


def test_a_program_that_does_not_exist_is_named() -> None:
    with pytest.raises(DeedboxError, match="/no/such: No such file"):
        run_program(["/no/such"], {}, 1.0)


def test_the_output_in_the_error_is_bounded() -> None:
    with pytest.raises(DeedboxError) as caught:
        python("import sys\nfor n in range(50000): print('x' * 100)\nprint('last'); sys.exit(1)")
    assert len(str(caught.value)) < OUTPUT_BYTES_MAX + 200
    assert str(caught.value).endswith("last")


def test_a_program_that_prints_without_end_is_killed_at_the_limit() -> None:
    begun = time.monotonic()
    with pytest.raises(DeedboxError, match=r"did not end within 0\.5 s"):
        python("while True: print('x' * 1000)", timeout_s=0.5)
    assert time.monotonic() - begun < 20


def test_a_program_that_has_closed_its_output_is_killed_at_the_limit() -> None:
    with pytest.raises(DeedboxError, match=r"did not end within 0\.3 s"):
        python("import os, time; os.close(1); os.close(2); time.sleep(600)", timeout_s=0.3)


def test_the_children_of_a_program_are_killed_with_it(tmp_path: Path) -> None:
    child = tmp_path / "child"
    code = f"import subprocess, time; p = subprocess.Popen(['sleep', '600']); open({str(child)!r}, 'w').write(str(p.pid)); time.sleep(600)"
    with pytest.raises(DeedboxError, match="did not end"):
        run_program([PYTHON, "-c", code], {"PATH": os.environ["PATH"]}, 1.5)
    pid = int(child.read_text())
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < deadline, "the child still runs"
        time.sleep(0.01)


def test_a_program_that_leaves_another_one_running_does_not_wait_for_it() -> None:
    begun = time.monotonic()
    run_program(["sh", "-c", "sleep 20 & exit 0"], {"PATH": os.environ["PATH"]}, 60.0)
    assert time.monotonic() - begun < 15


def test_a_program_ends_when_the_service_stops() -> None:
    stopped = threading.Event()
    threading.Timer(0.3, stopped.set).start()
    with pytest.raises(DeedboxError, match="the service stops"):
        run_program([PYTHON, "-c", "import time; time.sleep(600)"], {}, 600.0, stopped)
