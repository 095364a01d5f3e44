import pytest

from consumer.config import loader
from consumer.errors import Fatal


def test_nothing_is_shipped_without_a_destination() -> None:
    assert loader.load(None, {}, {}, []).ship.destinations == ()


def test_rates_and_times_have_units() -> None:
    found = loader.load(None, {"DEEDBOX_SHIP__BYTES_PER_S": "10MiB"}, {}, ["ship.digest_s=30m"]).ship
    assert (found.bytes_per_s, found.digest_s) == (10 << 20, 1800.0)


def test_at_least_one_upload_runs() -> None:
    with pytest.raises(Fatal, match=r"ship\.uploads"):
        loader.load(None, {}, {}, ["ship.uploads=0"])
