from pathlib import Path

import pytest

from consumer.errors import Fatal
from consumer.objects.url import ObjectUrl
from consumer.ship.retention.building import retention_of
from consumer.ship.retention.limits import Limits
from consumer.ship.retention.settings import RetainSection
from consumer.ship.settings import ShipSection

A, B = ObjectUrl.parse("s3://a/x"), ObjectUrl.parse("s3://b")


def test_each_place_has_its_limits(tmp_path: Path) -> None:
    own = {"s3://b": {"age_s": 5, "bytes": 6, "count": 7}}
    settings = RetainSection(age_s=1, bytes=2, count=3, free_bytes=4, remote_count=8, destinations=own)
    rules = retention_of(tmp_path, settings, ShipSection(), [A, B]).rules
    assert rules.local == Limits(1, 2, 3, 4)
    assert rules.remote == {A: Limits(count=8), B: Limits(5, 6, 7)}
    assert rules


def test_no_limit_is_no_rule(tmp_path: Path) -> None:
    assert not retention_of(tmp_path, RetainSection(), ShipSection(), [A]).rules


@pytest.mark.parametrize("limits", [1, {"age": 1}, {"age_s": -1}, {"age_s": "1d"}])
def test_a_limit_that_is_none_is_an_error(tmp_path: Path, limits: object) -> None:
    settings = RetainSection(destinations={"s3://a/x": limits})
    with pytest.raises(Fatal, match=r"retain\.destinations: s3://a/x"):
        retention_of(tmp_path, settings, ShipSection(), [A])
