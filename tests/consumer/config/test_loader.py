from pathlib import Path

import pytest

from consumer.config.loader import load
from consumer.config.sections import Settings
from consumer.errors import Exit, Fatal


def faults(config: Path | None = None, environ: dict[str, str] | None = None, *assignments: str) -> str:
    with pytest.raises(Fatal) as caught:
        load(config, environ or {}, {}, list(assignments))
    assert caught.value.exit is Exit.SETTINGS
    return caught.value.what


def test_without_sources_the_defaults_are_in_force() -> None:
    assert load(None, {}, {}, []) == Settings()


def test_flags_override_the_environment_which_overrides_the_file(tmp_path: Path) -> None:
    config = tmp_path / "deedbox.toml"
    config.write_text('[broker]\nqueue = "file"\nexchange = "file"\nurl = "amqp://file/"\n[batch]\ncount = 7\n')
    environ = {"DEEDBOX_BROKER__QUEUE": "env", "DEEDBOX_BROKER__EXCHANGE": "env", "HOME": "/", "PATH": "x"}
    found = load(config, environ, {"broker.queue": "flag", "broker.url": None}, [])
    assert (found.broker.queue, found.broker.exchange, found.broker.url) == ("flag", "env", "amqp://file/")
    assert (found.batch.count, found.prefetch) == (7, 14)


def test_text_is_converted_to_the_type_of_its_setting() -> None:
    environ = {
        "DEEDBOX_BROKER__BINDING_KEYS": "a.#, b.*", "DEEDBOX_BROKER__QUEUE_ARGUMENTS": '{"x-max-length": 5}', "DEEDBOX_BROKER__DECLARE": "all",
        "DEEDBOX_ROLL__AGE_S": "1.5", "DEEDBOX_BATCH__BYTES": "1000",
    }  # fmt: skip
    found = load(None, environ, {}, ["roll.events=9"])
    assert (found.broker.binding_keys, found.broker.queue_arguments, found.broker.declare) == (
        ("a.#", "b.*"),
        {"x-max-length": 5},
        "all",
    )
    assert (found.roll.age_s, found.batch.bytes, found.roll.events) == (1.5, 1000, 9)


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("p@ss:word\n")
    found = load(None, {"DEEDBOX_BROKER__PASSWORD_FILE": str(secret)}, {"broker.url": "amqp://me@host/v"}, [])
    assert found.topology.url == "amqp://me:p%40ss%3Aword@host/v"
    assert "secret: No such file" not in faults(None, {"DEEDBOX_BROKER__PASSWORD_FILE": str(tmp_path / "none")})
    assert "No such file or directory" in faults(None, {"DEEDBOX_BROKER__PASSWORD_FILE": str(tmp_path / "none")})


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"p\xff")
    found = faults(None, {}, f"broker.password_file={secret}")
    assert (
        found
        == f"settings: --set: broker.password_file: {secret}: the file is not UTF-8 text (its byte 1 is not valid)"
    )
    assert "'x\\x00': this is not the name of a file" in faults(None, {}, "broker.password_file=x\0")


def test_a_settings_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    config = tmp_path / "deedbox.toml"
    config.write_bytes(b"\xff")
    assert faults(config) == f"settings: {config}: the file is not UTF-8 text (its byte 0 is not valid)"


def test_one_message_has_all_faults(tmp_path: Path) -> None:
    config = tmp_path / "deedbox.toml"
    config.write_text('stray = 1\n[broker]\nquee = "x"\n[batch]\ncount = "many"\n')
    found = faults(config, {"DEEDBOX_ROLL__AGE": "5"}, "archive.level=99", "nonsense")
    for part in (
        "unknown setting 'stray'", "unknown setting 'broker.quee'; did you mean 'broker.queue'?", "batch.count: expected a whole number, found 'many'",
        "DEEDBOX_ROLL__AGE: unknown setting 'roll.age'; did you mean 'roll.age_s'?", "archive.level: expected a whole number <= 19", "--set nonsense: expected section.name=value",
    ):  # fmt: skip
        assert part in found


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("broker.url=http://host/", "expected amqp://"),
        ("broker.url=amqp://host:99999/", "expected amqp://"),
        ("broker.url=amqp://[::1/", "expected amqp://"),
        ("broker.queue_type=stream", "'stream'"),
        ("broker.queue=", "length"),
        ("broker.queue_arguments=[1]", "broker.queue_arguments"),
        ("broker.queue_arguments=x=5", 'expected a JSON object such as {"x-delivery-limit": 20}, or a table'),
        ("archive.instance=a/b", "letters, digits"),
        ("archive.name=%Y/x", "must end in"),
        ("archive.name=../{first}-{last}-{instance}-{sequence}.kvp.zst", "must stay inside"),
        ("batch.count=0", ">= 1"),
        ("batch.count=40000", "<= 32767"),
        ("roll.bytes=1000", "is smaller than a batch can be"),
        (f"broker.binding_keys={'k' * 256}", "longer than 255 bytes"),
        (f"broker.queue={'é' * 128}", "longer than 255 bytes"),
        ("watch.routing_key=\udcff", "is not UTF-8"),
        ("broker.binding_keys=", "without an empty one"),
        ("broker.binding_keys=a.#,,b", "without an empty one"),
    ],
)
def test_an_invalid_value_is_an_error_at_the_start(assignment: str, message: str) -> None:
    assert message in faults(None, {}, assignment)


@pytest.mark.parametrize("text", [b"[broker\n", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_an_error_with_its_name(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "deedbox.toml").write_bytes(text)
    assert "deedbox.toml" in faults(tmp_path / "deedbox.toml")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    assert "No such file or directory" in faults(tmp_path / "none.toml")


def test_service_links_of_kubernetes_are_not_settings() -> None:
    environ = dict.fromkeys(
        (
            "DEEDBOX_SERVICE_HOST",
            "DEEDBOX_SERVICE_PORT",
            "DEEDBOX_PORT",
            "DEEDBOX_PORT_5672_TCP_ADDR",
            "DEEDBOX_WEB_SERVICE_PORT_HTTP",
        ),
        "10.0.0.1",
    )
    assert load(None, environ, {}, []) == Settings()
    assert "unknown setting" in faults(None, {"DEEDBOX_BROKER_URL": "amqp://host/"})


def test_a_password_is_not_shown_in_a_fault() -> None:
    assert "hunter2" not in faults(None, {}, "broker.url=ftp://me:hunter2@host/")


def test_sizes_and_durations_are_texts_in_every_source(tmp_path: Path) -> None:
    config = tmp_path / "deedbox.toml"
    config.write_text('[roll]\nbytes = "64MiB"\nage_s = 90\n')
    found = load(config, {"DEEDBOX_BATCH__LINGER_S": "5ms"}, {"archive.free_bytes_min": "1GiB"}, ["service.drain_s=2m"])
    assert (found.roll.bytes, found.roll.age_s, found.batch.linger_s) == (64 << 20, 90.0, 0.005)
    assert (found.archive.free_bytes_min, found.service.drain_s) == (1 << 30, 120.0)


def test_an_empty_list_in_the_environment_is_an_error() -> None:
    """It was a list of one empty key: the queue was bound with it, and no message arrived."""
    with pytest.raises(
        Fatal, match=r"DEEDBOX_BROKER__BINDING_KEYS: broker.binding_keys: expected names separated by commas"
    ):
        load(None, {"DEEDBOX_BROKER__BINDING_KEYS": ""}, {}, [])


def test_a_wrong_choice_lists_the_choices_and_names_the_setting_once() -> None:
    with pytest.raises(Fatal) as raised:
        load(None, {}, {}, ["broker.declare=everything"])
    expected = "settings: --set: broker.declare: expected 'queue' or 'all' or 'none', found 'everything'"
    assert raised.value.what == expected
