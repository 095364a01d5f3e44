"""What can be wrong with bytes. Every error says where and why; nothing else leaves this package for bad input."""


class CodecError(Exception):
    """Bytes that do not mean what they should.

    ``reason`` says what was expected and found, ``offset`` is the byte offset inside the value that was being decoded.
    """

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(f"at byte {offset}: {reason}")
        self.reason = reason
        self.offset = offset


class Truncated(CodecError):
    """The bytes end before the value does."""


class Corrupt(CodecError):
    """The bytes are there, and wrong."""


class UnsupportedVersion(CodecError):
    """Written by a newer Deedbox than this one."""


class TooLarge(CodecError):
    """A value that passes a limit of FORMAT.md."""
