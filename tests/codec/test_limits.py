import random

import pytest

from codec import kvp
from codec.archive import compress
from codec.errors import TooLarge
from codec.event import Event
from codec.limits import HEADER_BYTES_MAX, TEXT_CHARACTERS_MAX, check_event, frame_bytes_max
from codec.profiles import SLICES_MAX

EVENT = Event("i", "t", 0, 0, "e", "k", b"\0\0", b"x" * 3000)
PAST = [
    {"header": bytes(HEADER_BYTES_MAX + 1)},
    *({name: "x" * (TEXT_CHARACTERS_MAX + 1)} for name in ("id", "type", "exchange", "routing_key")),
    {"tags": ("x",) * (TEXT_CHARACTERS_MAX // 4 + 1)},
]


@pytest.mark.parametrize("change", PAST, ids=lambda change: next(iter(change)))
def test_an_event_that_readers_refuse_is_not_written(change: dict[str, object]) -> None:
    with pytest.raises(TooLarge):
        kvp.encode(EVENT._replace(**change), "i")  # type: ignore[arg-type]  # one of its fields
    with pytest.raises(TooLarge):
        kvp.encode_batch([EVENT._replace(**change)], "i", 0)  # type: ignore[arg-type]


def test_the_largest_members_are_written_and_read() -> None:
    """The longest tags and the largest header are within the reader's limits, also with escapes."""
    text = "\0" * TEXT_CHARACTERS_MAX
    tags = ("\0",) * (TEXT_CHARACTERS_MAX // 4)
    event = Event(text, text, 0, 0, text, text, b"\1" * HEADER_BYTES_MAX, b"", tags=tags)
    check_event(event)
    assert list(kvp.decode(b"".join(kvp.encode(event, "i")))) == [event]


def test_a_body_of_the_largest_size_fits_into_the_slices() -> None:
    """A text whose escapes more than double its size is written as base64; a slice holds at least 2,010 bytes."""
    assert 2 * (512 << 20) / 2010 + 4 * 6 * TEXT_CHARACTERS_MAX / 2010 < SLICES_MAX


def test_no_frame_is_larger_than_its_limit() -> None:

    for size in (0, 1, 2560, 1 << 20):
        assert len(compress(random.Random(size).randbytes(size), 1)) <= frame_bytes_max(size)
