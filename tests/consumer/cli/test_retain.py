from tests.support.command_line import deedbox


def test_the_help_says_when_nothing_is_removed() -> None:
    text = " ".join(deedbox("retain", "--help").stdout.split())
    assert "Without a limit nothing is removed." in text
    assert "--remote-count" in text
