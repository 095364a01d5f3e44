from codec.errors import CodecError, Corrupt, TooLarge, Truncated, UnsupportedVersion


def test_an_error_holds_offset_and_reason() -> None:
    error = Corrupt("checksum 1f2e, 9a8b expected", 8192)
    assert str(error) == "at byte 8192: checksum 1f2e, 9a8b expected"
    assert (error.offset, error.reason) == (8192, "checksum 1f2e, 9a8b expected")


def test_all_errors_have_one_base_class() -> None:
    assert all(issubclass(leaf, CodecError) for leaf in (Corrupt, TooLarge, Truncated, UnsupportedVersion))
