from pathlib import Path

import pytest

from consumer.config.user_folders import cache_folder, state_folder


def test_the_folders_are_those_of_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/s")
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    assert (state_folder(), cache_folder()) == (Path("/s/deedbox"), Path("/c/deedbox"))


@pytest.mark.parametrize("value", [None, "", "relative"])
def test_without_a_valid_variable_they_are_below_the_home_directory(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.setenv("HOME", "/h")
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert (state_folder(), cache_folder()) == (Path("/h/.local/state/deedbox"), Path("/h/.cache/deedbox"))
