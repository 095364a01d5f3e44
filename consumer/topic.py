"""Patterns for routing keys, as a topic exchange matches them. Pure.

A key is a list of words between dots; an empty key has no words. In a pattern, `*` matches one word and `#` any number of words, including none. Any other
word matches itself. A broker treats a wildcard inside a word as a literal character. `Topic.parse` refuses it, because such a pattern matches only itself. Source: AMQP 0-9-1, section 3.1.3.3, "The Topic Exchange Type".
"""

from dataclasses import dataclass

from consumer.errors import Exit, Fatal


@dataclass(frozen=True, slots=True)
class Topic:
    """A pattern as a list of words."""

    words: tuple[str, ...]

    @classmethod
    def parse(cls, pattern: str) -> "Topic":
        """The pattern of a text such as `compute.#`. Raises Fatal for a wildcard inside a word."""
        words = _words(pattern)
        for word in words:
            if word not in ("*", "#") and ("*" in word or "#" in word):
                raise Fatal(
                    Exit.SETTINGS,
                    f"--routing-key {pattern!r}: in {word!r} a wildcard is part of a word",
                    "* is exactly one whole word between dots, # any number of words: user.*, user.#",
                )
        return cls(tuple(words))

    @classmethod
    def literally(cls, pattern: str) -> "Topic":
        """The pattern as a broker reads it: a wildcard inside a word is part of the word."""
        return cls(tuple(_words(pattern)))

    def matches(self, key: str) -> bool:
        """Whether a topic exchange would route the key by this pattern. The time is at most proportional to the product of the lengths."""
        words, pattern = _words(key), self.words
        at = in_pattern = 0
        hash_at, taken = -1, 0  # the last `#`, and the end of the words that it matches so far
        while at < len(words):
            if in_pattern < len(pattern) and pattern[in_pattern] == "#":
                hash_at, taken = in_pattern, at
                in_pattern += 1
            elif in_pattern < len(pattern) and pattern[in_pattern] in ("*", words[at]):
                at, in_pattern = at + 1, in_pattern + 1
            elif hash_at >= 0:
                taken += 1
                at, in_pattern = taken, hash_at + 1
            else:
                return False
        return all(word == "#" for word in pattern[in_pattern:])


def _words(text: str) -> list[str]:
    return text.split(".") if text else []
