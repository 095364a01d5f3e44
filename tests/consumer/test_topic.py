import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.errors import Fatal
from consumer.topic import Topic

WORDS = st.lists(st.sampled_from(["a", "b", ""]), max_size=6)
PATTERNS = st.lists(st.sampled_from(["a", "b", "", "*", "#"]), max_size=6)


@pytest.mark.parametrize(
    ("pattern", "key", "matches"),
    [
        ("user.#", "user.created", True),
        ("user.#", "user", True),
        ("user.#", "user.eu.created", True),
        ("user.#", "users.created", False),
        ("user.*", "user.created", True),
        ("user.*", "user", False),
        ("user.*", "user.eu.created", False),
        ("*", "key", True),
        ("*", "a.b", False),
        ("*", "", False),
        ("#", "", True),
        ("#", "a.b.c", True),
        ("*.error", "compute.error", True),
        ("#.error.#", "a.error.b.c", True),
        ("a.#.#.b", "a.b", True),
        ("a.*.#", "a.", True),
        ("", "", True),
        ("", "a", False),
        ("key?", "keys", False),
    ],
)
def test_a_pattern_matches_as_a_topic_exchange_does(pattern: str, key: str, matches: bool) -> None:
    assert Topic.parse(pattern).matches(key) is matches


def by_hand(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(by_hand(pattern[1:], words[at:]) for at in range(len(words) + 1))
    return bool(words) and pattern[0] in ("*", words[0]) and by_hand(pattern[1:], words[1:])


@given(PATTERNS, WORDS)
def test_every_pattern_matches_as_in_its_definition(pattern: list[str], words: list[str]) -> None:
    def split(parts: list[str]) -> list[str]:
        return parts if ".".join(parts) else []  # an empty text has no words

    assert Topic.parse(".".join(pattern)).matches(".".join(words)) is by_hand(split(pattern), split(words))


def test_a_pattern_of_many_hashes_ends() -> None:
    assert not Topic.parse(".".join(["#", "a"] * 30)).matches(".".join(["a"] * 120) + ".b")


@pytest.mark.parametrize("pattern", ["us*.x", "a.b#", "##", "a.**", "*#"])
def test_a_wildcard_inside_of_a_word_is_an_error(pattern: str) -> None:
    """It was used literally, and every result was empty."""
    with pytest.raises(
        Fatal, match=r"a wildcard is part of a word; .* is exactly one whole word between dots, # any number"
    ):
        Topic.parse(pattern)
