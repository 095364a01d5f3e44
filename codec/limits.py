"""The limits of FORMAT.md. A writer keeps them, and a reader refuses a file that exceeds one: `TooLarge`.

Role: they bound the memory that a reader needs for any file, also for a damaged or hostile one. Invariant: every delivery that
RabbitMQ can make is within the limits, so archiving a delivery never fails because of a limit.
"""

from codec.errors import TooLarge
from codec.event import Event
from codec.profiles import RECORD_BYTES, SLICES_MAX

BODY_BYTES_MAX = 512 << 20  # the largest message that RabbitMQ can be configured to accept
HEADER_BYTES_MAX = 2 << 20  # the broker sends a content header in one frame, by default at most 128 KiB
TEXT_CHARACTERS_MAX = 256 << 10  # id, type, exchange and routing key, each; the tags of an event together
MEMBERS_CHARACTERS_MAX = 8 << 20  # all of these together in sliced records, where the tags are JSON with escapes
SHARED_RAW_MAX = 64 << 20  # the records of a batch that holds more than one event
BATCH_RAW_MAX = SLICES_MAX * RECORD_BYTES  # the records of a batch that holds one event
FOOTER_BYTES_MAX = 32 << 20
FOOTER_JSON_MAX = 8 << 20
ROWS_MAX = 1 << 17  # batches of a sealed archive
FILTER_WORDS_MAX = 1 << 17  # of one batch; a batch with more keys gets no filter
GAPS_MAX = 1000  # in a footer; the last one covers all further ones
LINE_BYTES_MAX = 192 << 20  # a line of JSON: a body of 128 MiB in base64, and the members around it
PARSED_BYTES_MAX = 8 << 20  # JSON that is parsed as a whole: as Python objects it may need thirty times the memory
UNPACKED_BYTES_MAX = (
    64 << 20
)  # a compressed event of cloud-init after decompression, and all slices of one of its events

DIGEST_BYTES_MAX = 16 << 20
DIGEST_ENTRIES_MAX = 1000  # archives, and retired archives, of one digest; further ones are in the next digest
DIGEST_KEPT_MAX = 32  # places at which a retired archive is kept
DIGEST_TEXT_MAX = 2048  # characters of a path, a place or a reason


def frame_bytes_max(raw: int) -> int:
    """The largest size of a zstd frame that holds `raw` bytes: ZSTD_COMPRESSBOUND of zstd.h."""
    return raw + (raw >> 8) + (128 << 10)


def check_event(event: Event) -> None:
    """Raise TooLarge if an archive cannot hold the event."""
    sizes = (
        ("body", len(event.body), BODY_BYTES_MAX),
        ("header", len(event.header), HEADER_BYTES_MAX),
        ("id", len(event.id), TEXT_CHARACTERS_MAX),
        ("type", len(event.type), TEXT_CHARACTERS_MAX),
        ("exchange", len(event.exchange), TEXT_CHARACTERS_MAX),
        ("routing key", len(event.routing_key), TEXT_CHARACTERS_MAX),
        ("list of tags", sum(len(tag) + 3 for tag in event.tags), TEXT_CHARACTERS_MAX),
    )
    for name, size, limit in sizes:
        if size > limit:
            unit = "bytes" if name in ("body", "header") else "characters"
            raise TooLarge(f"{name} of {size} {unit}, at most {limit} allowed")
