import pytest

from consumer.visible import escaped, without_value


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä 漢 🎉", "plain ä 漢 🎉"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[2J\x9b\x7f\0", r"\x1b[2J\x9b\x7f\x00"),
        ("\u202e\u2028", r"\u202e\u2028"),
        ("\udcff", r"\udcff"),
        (OSError("a\nb"), r"a\nb"),
    ],
)
def test_characters_that_control_a_terminal_are_escaped(text: object, shown: str) -> None:
    assert escaped(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [("broker.url", "broker.url"), ("broker.url:x", "broker.url…"), ("amqp://u:p@h", "amqp…"), ("", ""), (" a", "…")],
)
def test_only_what_can_be_a_name_is_shown(text: str, shown: str) -> None:
    assert without_value(text) == shown
