import tomllib
from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from consumer.config.loader import load
from consumer.config.render import as_toml, render
from consumer.config.sections import SETTINGS, Settings

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.floats(allow_nan=False) | TEXTS | st.dates() | st.times() | st.datetimes()  # fmt: skip
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=10)


@given(VALUES)
def test_toml_that_was_written_is_read_as_the_same_value(value: object) -> None:
    assert tomllib.loads(f"value = {as_toml(value)}") == {"value": value}


@pytest.mark.parametrize("value", [None, [None], {"a": None}, "\udcff", {"\udcff": 1}, b"x"])
def test_a_value_that_toml_cannot_hold_is_an_error(value: object) -> None:
    with pytest.raises(ValueError, match=r"null|not UTF-8|bytes"):
        as_toml(value)


def loaded_again(settings: Settings, path: Path) -> Settings:
    config = path / "deedbox.toml"
    config.write_text(render(settings))
    return load(config, {}, {}, [])


def test_the_file_has_every_setting_with_its_description(tmp_path: Path) -> None:
    text = render(Settings())
    written = {f"{section}.{name}" for section, members in tomllib.loads(text).items() for name in members}
    assert written == set(SETTINGS)
    comments = " ".join(line.removeprefix("# ") for line in text.splitlines())
    assert [setting.key for setting in SETTINGS.values() if setting.description not in comments] == []
    assert loaded_again(Settings(), tmp_path) == Settings()


@given(
    count=st.integers(1, 32_767), size=st.integers(1 << 20, 1 << 30), linger=st.floats(0, 60), age=st.floats(0, allow_nan=False, allow_infinity=False),
    align=st.integers(0, 1 << 40), keys=st.lists(st.text("ab.#*\"\\", min_size=1), min_size=1), arguments=st.dictionaries(TEXTS, SCALARS),
)  # fmt: skip
def test_any_settings_are_loaded_again(
    tmp_path_factory: pytest.TempPathFactory, count: int, size: int, linger: float, age: float, align: int, keys: list[str], arguments: dict[str, object]
) -> None:  # fmt: skip
    default = Settings()
    settings = replace(
        default,
        broker=replace(default.broker, binding_keys=tuple(keys), queue_arguments=arguments),
        archive=replace(default.archive, describe=("openstack", "shop.events:describe")),
        batch=replace(default.batch, count=count, bytes=size, linger_s=linger),
        roll=replace(default.roll, age_s=age, align_s=align, bytes=0),
    )
    assert loaded_again(settings, tmp_path_factory.mktemp("config")) == settings


def test_sizes_and_durations_are_written_with_a_unit_and_the_default_is_named() -> None:
    text = render(load(None, {}, {}, ["roll.age_s=90", "batch.count=5"]))
    assert '\n# Default: "1h"\nage_s = "90s"\n' in text
    assert "\n# Default: 2000\ncount = 5\n" in text
    assert '\nbytes = "128MiB"\n' in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://me:s3cret@host/v", "amqp://me@host/v"),
        ("amqp://me@host/v?heartbeat=5", "amqp://me@host/v?heartbeat=5"),
        ("amqps://host/?keyfile=k&password=s3cret", "amqps://host/?keyfile=k"),
        ("amqp://guest:guest@127.0.0.1:5672/", "amqp://guest:guest@127.0.0.1:5672/"),
    ],
)
def test_a_password_is_never_shown(tmp_path: Path, url: str, shown: str) -> None:
    settings = load(None, {}, {}, [f"broker.url={url}", "broker.password=h1dden"])
    text = render(settings)
    assert "s3cret" not in text
    assert "h1dden" not in text
    assert tomllib.loads(text)["broker"]["url"] == shown
    assert "# The password is not shown. Set it with broker.password_file.\n" in text
    public = replace(settings, broker=replace(settings.broker, url=shown, password=""))
    assert loaded_again(settings, tmp_path) == public


def test_the_password_of_the_other_broker_is_never_shown() -> None:
    text = render(load(None, {}, {}, ["replay.url=amqp://me:s3cret@host/v", "replay.password=h1dden"]))
    assert "s3cret" not in text
    assert "h1dden" not in text
    assert tomllib.loads(text)["replay"]["url"] == "amqp://me@host/v"


def test_a_secret_key_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("h1dden\n")
    settings = load(None, {"DEEDBOX_OBJECTS__SECRET_KEY_FILE": str(tmp_path / "key")}, {}, [])
    assert settings.objects.secret_key == "h1dden"
    text = render(settings)
    assert "h1dden" not in text
    assert "# The key is not shown. Set it with objects.secret_key_file.\n" in text


def test_a_value_that_toml_cannot_hold_is_a_comment() -> None:
    default = Settings()
    text = render(replace(default, archive=replace(default.archive, dir="/x/\udcff")))
    assert "# dir: the value in force cannot be written as TOML (text that is not UTF-8)\n" in text
    assert "dir" not in tomllib.loads(text)["archive"]


def test_dates_and_times_do_not_change() -> None:
    value = [date(2026, 11, 21), time(1, 2, 3), datetime(2026, 11, 21, 1, 2, 3, 4000, UTC)]
    assert tomllib.loads(f"value = {as_toml(value)}") == {"value": value}
