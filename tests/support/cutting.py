"""Bytes that arrive in pieces of any size."""

from random import Random


def cut(raw: bytes, random: Random) -> list[bytes]:
    """Cut the bytes into pieces of any size."""
    pieces, at = [], 0
    while at < len(raw):
        size = random.choice([1, 2, 7, 8, 100, 5000, 100_000])
        pieces.append(raw[at : at + size])
        at += size
    return pieces
