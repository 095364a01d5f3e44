"""The folders of a user for files that are no archives. Source: XDG Base Directory Specification.

Invariant: a relative path in a variable is ignored, as the specification demands.
"""

import os
from pathlib import Path

NAME = "deedbox"


def state_folder() -> Path:
    """Where to remember things from one run to the next. It may not exist."""
    return _folder("XDG_STATE_HOME", ".local/state")


def cache_folder() -> Path:
    """Where to keep what can be made again. It may not exist."""
    return _folder("XDG_CACHE_HOME", ".cache")


def _folder(variable: str, default: str) -> Path:
    named = Path(os.environ.get(variable, ""))
    return (named if named.is_absolute() else Path.home() / default) / NAME
