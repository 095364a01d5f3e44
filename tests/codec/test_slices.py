import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.slices import cut

TEXTS = st.text('"\\/\n\0é€😀x', max_size=120)


@pytest.mark.parametrize("ascii_only", [True, False])
@given(text=TEXTS, first=st.integers(12, 40), rest=st.integers(12, 40))
def test_every_piece_is_json_of_its_own_and_keeps_its_limit(ascii_only: bool, text: str, first: int, rest: int) -> None:
    escaped = json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode()
    pieces = list(cut(escaped, first, rest))
    assert b"".join(pieces) == escaped
    assert "".join(json.loads(b'"%b"' % piece) for piece in pieces) == text
    assert len(pieces[0]) <= first
    assert all(len(piece) <= rest for piece in pieces[1:])


@given(text=st.binary(max_size=100), first=st.integers(4, 20), rest=st.integers(4, 20))
def test_plain_text_is_cut_at_multiples(text: bytes, first: int, rest: int) -> None:
    pieces = list(cut(text, first, rest, whole=4))
    assert b"".join(pieces) == text
    assert all(len(piece) % 4 == 0 for piece in pieces[:-1])


def test_a_surrogate_pair_stays_together() -> None:
    """cloud-init cuts within pairs: each half decodes to another character."""
    escaped = json.dumps("ab😀cd")[1:-1].encode()
    for room in range(12, 20):
        assert all(b"\\ude00" not in piece or b"\\ud83d\\ude00" in piece for piece in cut(escaped, room, room))


def test_a_literal_that_looks_like_an_escape_is_not_an_escape() -> None:
    escaped = json.dumps("\\\\ud83d" * 8 + "\udc00" * 3)[1:-1].encode()
    for room in range(12, 30):
        pieces = list(cut(escaped, room, room))
        assert "".join(json.loads(b'"%b"' % piece) for piece in pieces) == json.loads(b'"%b"' % escaped)
