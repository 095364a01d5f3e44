"""Join the slices of an event.

Pure. Invariant: memory holds the body once, and at most as much of it as the limits of FORMAT.md allow.
"""

import json
import re
from base64 import b64decode
from io import BytesIO
from itertools import accumulate

import orjson

from codec.errors import Corrupt, TooLarge
from codec.limits import BODY_BYTES_MAX, MEMBERS_CHARACTERS_MAX

_DEPTH_MAX = 500
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)


def loads(value: bytes) -> dict[str, object]:
    """The members of a record's value. Raises Corrupt, and ValueError if the value is not JSON."""
    try:
        members = orjson.loads(value)
    except orjson.JSONDecodeError:
        if _depth(value) > _DEPTH_MAX:
            raise Corrupt(f"JSON of more than {_DEPTH_MAX} nested levels, at most {_DEPTH_MAX} allowed") from None
        members = json.loads(value)  # JSON may hold lone surrogates, and orjson refuses them
    if not isinstance(members, dict):
        raise Corrupt(f"value is a JSON {type(members).__name__}, an object expected")
    return members


def _depth(value: bytes) -> int:
    """The nesting depth of the arrays and objects of a JSON text, which is not parsed for it."""
    steps = ((byte in b"[{") - (byte in b"]}") for byte in _STRING.sub(b"", value))
    return max(accumulate(steps), default=0)


def decode_body(msg: object, encoding: object) -> bytes:
    """The bytes of a body, or of a piece of a body. Raises Corrupt and ValueError."""
    if type(msg) is not str:
        raise Corrupt(f"body is a JSON {type(msg).__name__}, text expected")
    return b64decode(msg, validate=True) if encoding == "base64" else msg.encode()


class Body:
    """The body of an event, joined slice by slice, so that memory holds it once."""

    def __init__(self, encoding: object) -> None:
        self._encoding = encoding
        self._remainder = ""  # base64 characters that do not yet form a group of four
        self._bytes = BytesIO()

    def add(self, text: str) -> None:
        """Add the next piece. Raises TooLarge, and ValueError if the text is not base64 or not valid Unicode."""
        if self._encoding == "base64":
            text = self._remainder + text
            whole = len(text) // 4 * 4
            text, self._remainder = text[:whole], text[whole:]
        self._bytes.write(decode_body(text, self._encoding))
        if self._bytes.tell() > BODY_BYTES_MAX:
            raise TooLarge(f"body of more than {BODY_BYTES_MAX} bytes, at most {BODY_BYTES_MAX} allowed")

    def joined(self) -> bytes:
        """The whole body. Raises ValueError if the last group of base64 is incomplete."""
        self._bytes.write(decode_body(self._remainder, self._encoding))
        return self._bytes.getvalue()


class Members:
    """The members other than the body that have slices of their own."""

    def __init__(self) -> None:
        self._pieces: dict[str, list[str]] = {}
        self._size = 0

    def add(self, name: str, text: str) -> None:
        """Add the next piece of a member. Raises TooLarge."""
        self._pieces.setdefault(name, []).append(text)
        self._size += len(text)
        if self._size > MEMBERS_CHARACTERS_MAX:
            raise TooLarge(
                f"members of more than {MEMBERS_CHARACTERS_MAX} characters without the body, at most {MEMBERS_CHARACTERS_MAX} allowed"
            )

    def joined(self) -> dict[str, object]:
        """The members by name. Raises Corrupt if the tags are not JSON."""
        texts = {name: "".join(pieces) for name, pieces in self._pieces.items()}
        whole: dict[str, object] = {**texts}
        if (tags := texts.get("tags")) is not None:
            whole["tags"] = loads(b'{"tags":%b}' % tags.encode("utf-8", "surrogatepass"))["tags"]
        return whole
