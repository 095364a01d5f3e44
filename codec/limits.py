"""The limits of FORMAT.md: what a writer may write and a reader takes. Past one of them, `TooLarge`.

Role: they bound the memory that a file can make its reader use, whatever the file holds. Invariant: every delivery that RabbitMQ can
make is within them, so that a writer of deliveries never meets one.
"""

from codec.errors import TooLarge
from codec.event import Event
from codec.profiles import RECORD_BYTES, SLICES_MAX

BODY_BYTES_MAX = 512 << 20  # RabbitMQ takes no larger message, whatever its settings say
HEADER_BYTES_MAX = 2 << 20  # the broker sends a content header in one frame, by default of 128 KiB at most
TEXT_CHARACTERS_MAX = 256 << 10  # id, type, exchange and routing key, each; the tags of an event together
MEMBERS_CHARACTERS_MAX = 8 << 20  # all of these in sliced records together: tags stand there as JSON, with escapes
SHARED_RAW_MAX = 64 << 20  # the records of a batch that holds more than one event
BATCH_RAW_MAX = SLICES_MAX * RECORD_BYTES  # the records of a batch that holds one event
FOOTER_BYTES_MAX = 32 << 20
FOOTER_JSON_MAX = 8 << 20
ROWS_MAX = 1 << 17  # batches of a sealed archive
FILTER_WORDS_MAX = 1 << 17  # of one batch; with more keys it gets no filter
GAPS_MAX = 1000  # in a footer; the last one covers those that would be more
LINE_BYTES_MAX = 192 << 20  # of JSON lines: a body of 128 MiB in base64, and the members around it
PARSED_BYTES_MAX = 8 << 20  # JSON that is parsed whole: as objects it may take thirty times the memory
UNPACKED_BYTES_MAX = 64 << 20  # what a compressed event of cloud-init may unpack to, and all slices of an event of its


def frame_bytes_max(raw: int) -> int:
    """How large a zstd frame around `raw` bytes can be: ZSTD_COMPRESSBOUND of zstd.h."""
    return raw + (raw >> 8) + (128 << 10)


def check_event(event: Event) -> None:
    """Raises TooLarge for an event that no archive takes."""
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
            raise TooLarge(f"{name} of {size} bytes, {limit} at most")
