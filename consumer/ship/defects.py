"""Describe an unexpected exception for the log: its type, its text, and the place in the code."""

import traceback
from pathlib import Path


def describe(error: Exception) -> str:
    """One line such as `ValueError: text (shipped.py, line 24, in is_shipped)`."""
    *_, frame = traceback.extract_tb(error.__traceback__) or [None]
    place = f" ({Path(frame.filename).name}, line {frame.lineno}, in {frame.name})" if frame else ""
    return f"{type(error).__name__}: {error}{place}"
