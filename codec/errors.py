"""Errors of decoding and encoding. Invariant: for bad input this package raises only `CodecError`, which holds the offset and the reason."""


class CodecError(Exception):
    """Bytes that cannot be decoded, or a value that cannot be encoded.

    `reason`: the value that was found and the value that was expected. `offset`: the byte offset within the value that was being decoded.
    """

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(f"at byte {offset}: {reason}")
        self.reason = reason
        self.offset = offset


class Truncated(CodecError):
    """The bytes end before the value does."""


class Corrupt(CodecError):
    """The bytes are complete but invalid."""


class UnsupportedVersion(CodecError):
    """The bytes were written by a newer version of Deedbox."""


class TooLarge(CodecError):
    """A value exceeds a limit of FORMAT.md."""
