import pytest

from consumer.cli.proving import Proving
from consumer.errors import Exit, Fatal


@pytest.mark.parametrize(("text", "size"), [("20GB", 20 * 10**9), ("128MiB", 128 << 20), ("5000", 5000)])
def test_a_budget_is_a_size(text: str, size: int) -> None:
    assert Proving(deep=True, budget=text).budget_bytes == size


def test_without_a_budget_there_is_none() -> None:
    assert Proving(deep=True).budget_bytes is None


@pytest.mark.parametrize(
    ("deep", "text", "reason"),
    [
        (None, "20GB", "--budget works only with --deep"),
        (False, "20GB", "--budget works only with --deep"),
        (True, "20 gigabytes", "--budget 20 gigabytes; expected a number of bytes"),
        (True, "0", "give more than 0 bytes"),
        (True, "", "expected a number of bytes"),
    ],
)
def test_another_budget_is_an_error(deep: bool | None, text: str, reason: str) -> None:
    with pytest.raises(Fatal, match=reason) as found:
        _ = Proving(deep=deep, budget=text).budget_bytes
    assert found.value.exit == Exit.SETTINGS
