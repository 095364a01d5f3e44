import struct

from hypothesis import given
from hypothesis import strategies as st

from codec import filter as bloom
from tests.codec.strategies import texts


def words_of(raw: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(raw) // 8}Q", raw)


@given(st.lists(texts, min_size=1, max_size=200))
def test_a_key_of_the_filter_is_always_found(ids: list[str]) -> None:
    hashes = [bloom.key_hash("id", value) for value in ids]
    words = words_of(bloom.build(hashes))
    assert all(bloom.may_hold(words[bloom.word_index(value, len(words))], value) for value in hashes)


def test_one_look_up_in_a_hundred_is_a_false_positive_at_most() -> None:
    words = words_of(bloom.build([bloom.key_hash("id", str(n)) for n in range(4000)]))
    absent = [bloom.key_hash("id", f"absent-{n}") for n in range(20_000)]
    found = sum(bloom.may_hold(words[bloom.word_index(value, len(words))], value) for value in absent)
    assert found < 200


def test_every_pattern_has_five_bits() -> None:
    """With three bits, false positives would be six times as frequent, and a search for some IDs would be slow."""
    filters = [bloom.build([index << 52]) for index in range(4096)]  # the upper 12 bits of a hash select the pattern
    assert {int.from_bytes(words, "little").bit_count() for words in filters} == {5}


def test_equal_texts_of_different_fields_are_different_keys() -> None:
    assert bloom.key_hash("id", "a") != bloom.key_hash("type", "a")


def test_sizes_are_powers_of_two_with_sixteen_bits_a_key() -> None:
    assert [bloom.word_count(keys) for keys in (0, 1, 4, 5, 8, 9, 2000)] == [1, 1, 1, 2, 2, 4, 512]
