"""Slices of an event put together again.

Pure. Invariant: memory holds a body once, and never more of it than the limits of FORMAT.md allow.
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
    """The members of a value. Raises Corrupt, and ValueError for what is not JSON."""
    try:
        members = orjson.loads(value)
    except orjson.JSONDecodeError:
        if _depth(value) > _DEPTH_MAX:
            raise Corrupt(f"JSON nested too deep: {_DEPTH_MAX} levels at most") from None
        members = json.loads(value)  # lone surrogates are legal in JSON and refused by orjson
    if not isinstance(members, dict):
        raise Corrupt(f"value is a JSON {type(members).__name__}, an object is expected")
    return members


def _depth(value: bytes) -> int:
    """How deep the arrays and objects of a JSON text are nested, without reading it."""
    steps = ((byte in b"[{") - (byte in b"]}") for byte in _STRING.sub(b"", value))
    return max(accumulate(steps), default=0)


def decode_body(msg: object, encoding: object) -> bytes:
    """The bytes of a body or of a piece of one. Raises Corrupt and ValueError."""
    if type(msg) is not str:
        raise Corrupt("a body that should be text is not")
    return b64decode(msg, validate=True) if encoding == "base64" else msg.encode()


class Body:
    """The body of an event, put together slice by slice, so that memory holds it once."""

    def __init__(self, encoding: object) -> None:
        self._encoding = encoding
        self._rest = ""  # base64 that is not yet a whole group of four
        self._bytes = BytesIO()

    def add(self, text: str) -> None:
        """The next piece. Raises TooLarge, and ValueError for text that is not base64 or not Unicode."""
        if self._encoding == "base64":
            text = self._rest + text
            whole = len(text) // 4 * 4
            text, self._rest = text[:whole], text[whole:]
        self._bytes.write(decode_body(text, self._encoding))
        if self._bytes.tell() > BODY_BYTES_MAX:
            raise TooLarge(f"body of more than {BODY_BYTES_MAX} bytes")

    def joined(self) -> bytes:
        """All of it. Raises ValueError for an incomplete group of base64."""
        self._bytes.write(decode_body(self._rest, self._encoding))
        return self._bytes.getvalue()


class Members:
    """Members other than the body that have slices of their own."""

    def __init__(self) -> None:
        self._pieces: dict[str, list[str]] = {}
        self._size = 0

    def add(self, name: str, text: str) -> None:
        """The next piece of a member. Raises TooLarge."""
        self._pieces.setdefault(name, []).append(text)
        self._size += len(text)
        if self._size > MEMBERS_CHARACTERS_MAX:
            raise TooLarge(f"members other than the body of more than {MEMBERS_CHARACTERS_MAX} characters")

    def joined(self) -> dict[str, object]:
        """The members by name. Raises Corrupt for tags that are not JSON."""
        texts = {name: "".join(pieces) for name, pieces in self._pieces.items()}
        whole: dict[str, object] = {**texts}
        if (tags := texts.get("tags")) is not None:
            whole["tags"] = loads(b'{"tags":%b}' % tags.encode("utf-8", "surrogatepass"))["tags"]
        return whole
