"""Bloom filters that say which batches cannot hold an id, type or tag.

Role: a filter is a list of 64-bit words; a key sets five bits of one word, so a look-up of one key needs the same one
word of every batch, and the footer stores words of equal rank side by side. Invariant: no false negatives; with 16
bits a key, about one look-up in 200 is a false positive.
Source: Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom Filters" (register blocking).
"""

import struct
from collections.abc import Collection

from xxhash import xxh3_64_intdigest

BITS_PER_KEY = 16
BITS_SET = 5
_WORD_BITS = 64


def _pattern(index: int) -> int:
    """Five bits, all of them different: with three, a key would be held by chance six times as often."""
    spread = (index + 1) * 0x9E3779B97F4A7C15 & 0xFFFF_FFFF_FFFF_FFFF  # 2**64 over the golden ratio: Knuth 6.4
    bits: list[int] = []
    for shift in range(58, -1, -6):
        bit = 1 << (spread >> shift & 63)
        if bit not in bits and len(bits) < BITS_SET:
            bits.append(bit)
    return sum(bits)


_PATTERNS = tuple(map(_pattern, range(4096)))


def key_hash(kind: str, value: str) -> int:
    """The hash of a key; `kind` ("id", "type" or "tag") keeps equal texts of different fields apart."""
    return xxh3_64_intdigest(f"{kind}:{value}".encode("utf-8", "surrogatepass"))


def word_count(keys: int) -> int:
    """How many words a filter of so many keys has: a power of two, at least one."""
    words = max(1, -(-keys * BITS_PER_KEY // _WORD_BITS))
    return 1 << (words - 1).bit_length()


def build(hashes: Collection[int]) -> bytes:
    """The words of a filter over key hashes, little-endian."""
    ranks = word_count(len(hashes))
    words, mask = [0] * ranks, ranks - 1
    for value in hashes:
        words[value & mask] |= _PATTERNS[value >> 52]
    return struct.pack(f"<{ranks}Q", *words)


def may_hold(word: int, value: int) -> bool:
    """Whether the filter whose word of rank `word_index(value, ranks)` this is may hold the key."""
    pattern = _PATTERNS[value >> 52]
    return word & pattern == pattern


def word_index(value: int, ranks: int) -> int:
    """Which word of a filter speaks of a key."""
    return value & (ranks - 1)
