from pathlib import Path

import pytest

from consumer.errors import Exit, Fatal
from consumer.ingest.describe import describe
from consumer.ingest.presets.function import load_function
from tests.support.deliveries import delivery

MODULE = """
from typing import NamedTuple
LIMIT = 5
def describe(delivery, event):
    return event._replace(id=delivery.routing_key.upper())
def one(delivery): ...
async def waits(delivery, event): ...
class Describer:
    def __call__(self, delivery, event):
        return event._replace(type="called")
instance = Describer()
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_describers.py").write_text(MODULE)
    (tmp_path / "shop_broken.py").write_text("import no_such_module\n")
    (tmp_path / "shop_exits.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "shop_syntax.py").write_text("def\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_a_function_and_an_object_that_can_be_called_are_loaded() -> None:
    found = delivery(1)
    assert load_function("shop_describers:describe")(found, describe(found)).id == "KEY"
    assert load_function("shop_describers:instance")(found, describe(found)).type == "called"
    assert load_function("operator:is_")  # of C, without a signature that Python can bind in every version


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("no_such_module:f", "cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        ("shop_broken:f", "cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        ("shop_exits:f", "cannot be imported: SystemExit: 3"),
        ("shop_syntax:f", "cannot be imported: SyntaxError"),
        ("shop_describers:f", "the module 'shop_describers' has no 'f'"),
        ("shop_describers:LIMIT", "'LIMIT' is not a plain function"),
        ("shop_describers:waits", "'waits' is not a plain function"),
        ("shop_describers:one", "'one' cannot be called with two values"),
    ],
)
def test_what_cannot_be_used_is_a_clear_error(name: str, what: str) -> None:
    with pytest.raises(Fatal) as caught:
        load_function(name)
    assert caught.value.exit is Exit.SETTINGS
    assert str(caught.value).startswith(f"archive.describe: {name!r}: ")
    assert what in str(caught.value)
    assert caught.value.do
