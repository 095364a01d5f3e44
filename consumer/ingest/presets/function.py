"""Import a describer of the user, named `module:function`."""

import inspect
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import NoReturn, cast

from consumer.errors import Exit, Fatal
from consumer.ingest.describe import Describer

_CONTRACT = "it must be a function that takes a delivery and an event and returns an event"


def load_function(name: str) -> Describer:
    """Import a describer. Raises Fatal if there is none, if its module cannot be imported, or if it cannot be called with two values."""
    module, _, function = name.partition(":")
    try:
        found = getattr(import_module(module), function, None)
    except BaseException as error:  # noqa: BLE001 -- the module is of the user; its code may raise anything
        reason = traceback.format_exception_only(error)[-1].strip()
        _refuse(name, f"the module {module!r} cannot be imported: {reason}",
                "correct it, or install it where Deedbox is installed, or name its directory in PYTHONPATH")  # fmt: skip
    if found is None:
        _refuse(name, f"the module {module!r} has no {function!r}", "correct the name")
    if not callable(found) or inspect.iscoroutinefunction(found):
        _refuse(name, f"{function!r} is not a plain function", _CONTRACT)
    if not _takes_two(found):
        _refuse(name, f"{function!r} cannot be called with two values", _CONTRACT)
    return cast("Describer", found)


def _takes_two(function: Callable[..., object]) -> bool:
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        return False
    except ValueError:
        return True  # a function of an extension module has no signature
    return True


def _refuse(name: str, what: str, do: str) -> NoReturn:
    raise Fatal(Exit.SETTINGS, f"archive.describe: {name!r}: {what}", do)
