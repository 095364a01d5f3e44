import pytest
from hypothesis import given

from codec.keys import key_field
from tests.codec.strategies import texts


def test_long_names_in_keys_are_shortened_with_a_hash_and_never_cut() -> None:
    """cloud-init cuts keys at 512 bytes: the UUID and the slice number are lost, and ten slices share one key."""
    twins = [key_field("x" * 300 + end, 100) for end in "ab"]
    assert twins[0] != twins[1]
    assert all(len(key) <= 100 and "~" in key for key in twins)


@pytest.mark.parametrize("name", ["é" * 300, "%" * 300, "|" * 299, "😀" * 99, "a" * 299 + "\0", "\ud800" * 99])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_shortened_field_is_cut_between_characters_and_escapes(ascii_only: bool, name: str) -> None:
    for limit in range(40, 80):
        field = key_field(name, limit, ascii_only)
        assert len(field.encode()) <= limit
        head, _, digest = field.rpartition("~")
        assert len(digest) == 16
        assert head.count("%") * 3 <= len(head) or "%" not in head
        assert not head.endswith(("%", "%C", "%2"))


@given(texts, texts)
def test_different_values_give_different_fields(first: str, second: str) -> None:
    assert (key_field(first, 60) == key_field(second, 60)) == (first == second)
