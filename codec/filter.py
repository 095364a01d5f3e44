"""Bloom filters: they show which batches cannot hold an ID, type or tag.

Role: a filter is a list of 64-bit words. A key sets five bits of one word. To look up a key, a reader needs one word of each
filter: the one with the same index. So the footer stores the words of equal index together. Invariant: no false negatives. With
16 bits per key, about one look-up in 200 is a false positive.
Source: Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom Filters" (register blocking).
"""

import struct
from collections.abc import Collection

from xxhash import xxh3_64_intdigest

BITS_PER_KEY = 16
BITS_SET = 5
_WORD_BITS = 64


def _pattern(index: int) -> int:
    """A word with five different bits set. With three bits, false positives would be six times as frequent."""
    spread = (index + 1) * 0x9E3779B97F4A7C15 & 0xFFFF_FFFF_FFFF_FFFF  # 2**64 over the golden ratio: Knuth 6.4
    bits: list[int] = []
    for shift in range(58, -1, -6):
        bit = 1 << (spread >> shift & 63)
        if bit not in bits and len(bits) < BITS_SET:
            bits.append(bit)
    return sum(bits)


_PATTERNS = tuple(map(_pattern, range(4096)))


def key_hash(kind: str, value: str) -> int:
    """The hash of a key. `kind` is "id", "type" or "tag": equal texts of different fields are different keys."""
    return xxh3_64_intdigest(f"{kind}:{value}".encode("utf-8", "surrogatepass"))


def word_count(keys: int) -> int:
    """The number of words of a filter with this number of keys: a power of two, at least one."""
    words = max(1, -(-keys * BITS_PER_KEY // _WORD_BITS))
    return 1 << (words - 1).bit_length()


def build(hashes: Collection[int]) -> bytes:
    """The words of a filter for these key hashes, little-endian."""
    count = word_count(len(hashes))
    words, mask = [0] * count, count - 1
    for value in hashes:
        words[value & mask] |= _PATTERNS[value >> 52]
    return struct.pack(f"<{count}Q", *words)


def may_hold(word: int, value: int) -> bool:
    """Whether a filter may hold the key with this hash. `word` is the filter's word with the index `word_index(value, count)`."""
    pattern = _PATTERNS[value >> 52]
    return word & pattern == pattern


def word_index(value: int, count: int) -> int:
    """The index of the word in which a key with this hash sets its bits, in a filter of `count` words."""
    return value & (count - 1)
