"""The members of a record's value as JSON text, in the order of FORMAT.md.

Pure. Role: `kvp` joins these pieces to values. Each piece is bytes, because quoting all members on their own is faster than building a
dictionary for every event.
"""

from base64 import b64encode

from codec.event import Event, check_duplicate, format_time
from codec.keys import key_field, looks_shortened
from codec.profiles import Profile
from codec.slices import quote


def quoted_body(body: bytes, ascii_only: bool = False) -> tuple[bytes, bytes]:
    """The `encoding` member (empty if the body is text), and the body as a JSON string."""
    try:
        quoted = quote(body.decode(), ascii_only)
        if len(quoted) <= 2 * len(body) + 64:
            return b"", quoted
    except UnicodeDecodeError:
        pass
    # Not UTF-8, or text of control characters, which would need six times the space as escapes.
    return b',"encoding":"base64"', b'"%b"' % b64encode(body)


def id_in_key(id: str, profile: Profile) -> bool:
    """Whether the value omits the ID: the key holds it unchanged, and no reader can mistake it for a shortened one."""
    whole = profile.compact and key_field(id, profile.field_units[2], profile.ascii_only) == id
    return whole and not looks_shortened(id)


def arrival(event: Event, profile: Profile) -> int | None:
    """The arrival time; None if the value omits it, because it equals the event time."""
    return None if profile.compact and event.arrived_us == event.time_us else event.arrived_us


def type_and_time(kind: str, ascii_only: bool = False) -> bytes:
    """The part of a value from the type to the opening quote of the event time."""
    return b'"type":%b,"ts":"' % quote(kind, ascii_only)


def origin_members(arrived_us: int | None, exchange: str, routing_key: str, ascii_only: bool = False) -> bytes:
    """The part of a value from the arrival time to the name of `header`. It is equal for all deliveries of one read from the socket."""
    arrived = b"" if arrived_us is None else b'"arrived":"%b",' % format_time(arrived_us).encode()
    names = quote(exchange, ascii_only), quote(routing_key, ascii_only)
    return b'",%b"exchange":%b,"routing_key":%b,"header":' % (arrived, *names)


def flags_and_tags(event: Event, ascii_only: bool) -> bytes:
    """The members `redelivered`, `duplicate` and `tags`."""
    redelivered = b',"redelivered":true' if event.redelivered else b""
    duplicate = b',"duplicate":"%b"' % check_duplicate(event.duplicate).encode() if event.duplicate else b""
    return redelivered + duplicate + (b',"tags":' + tags_json(event, ascii_only) if event.tags else b"")


def tags_json(event: Event, ascii_only: bool) -> bytes:
    """The tags as a JSON array."""
    return b"[" + b",".join(quote(tag, ascii_only) for tag in event.tags) + b"]"
