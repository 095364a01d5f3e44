import pytest

from codec.errors import TooLarge
from codec.joining import Body, Members
from codec.limits import BODY_BYTES_MAX, MEMBERS_CHARACTERS_MAX


@pytest.mark.parametrize("cuts", [(0, 1, 2, 3), (4, 5, 9), (8,), ()])
def test_base64_may_be_cut_anywhere(cuts: tuple[int, ...]) -> None:
    text, at, body = "AAECAwQF/w==", 0, Body("base64")
    for cut in (*cuts, len(text)):
        body.add(text[at:cut])
        at = cut
    assert body.joined() == b"\0\1\2\3\4\5\xff"


@pytest.mark.parametrize(("encoding", "text"), [("base64", "AAE"), ("base64", "A\n=="), (None, "\ud800")])
def test_a_piece_that_cannot_be_decoded_is_an_error(encoding: str | None, text: str) -> None:
    body = Body(encoding)
    with pytest.raises(ValueError, match=r"padding|base64|surrogates"):
        body.add(text), body.joined()


def test_a_body_beyond_its_limit_is_refused_before_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    assert BODY_BYTES_MAX == 512 << 20
    monkeypatch.setattr("codec.joining.BODY_BYTES_MAX", 100)
    body = Body(None)
    body.add("x" * 100)
    with pytest.raises(TooLarge):
        body.add("x")


def test_members_beyond_their_limit_are_refused_before_they_are_whole() -> None:
    members = Members()
    members.add("id", "x" * MEMBERS_CHARACTERS_MAX)
    with pytest.raises(TooLarge):
        members.add("tags", "x")
