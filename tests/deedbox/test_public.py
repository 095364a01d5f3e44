"""The package that programs import."""

import subprocess
import sys
from pathlib import Path

import deedbox
import deedbox.files
import deedbox.prefetch

ROOT = Path(deedbox.__file__).parents[1]
HEAVY = {"asyncio", "regex", "msgspec", "orjson", "aio_pika", "structlog", "concurrent.futures", "multiprocessing"}


def test_every_public_name_exists() -> None:
    for module in (deedbox, deedbox.files, deedbox.prefetch):
        assert sorted(module.__all__) == module.__all__
        assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_importing_it_is_cheap() -> None:
    """What reads archives is imported when the first archive is read."""
    code = "import sys; before = set(sys.modules); import deedbox; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert set(done.stdout.split()) & HEAVY == set()


def test_type_checkers_know_that_the_packages_have_types() -> None:
    for package in ("deedbox", "consumer", "codec"):
        assert (ROOT / package / "py.typed").exists()
