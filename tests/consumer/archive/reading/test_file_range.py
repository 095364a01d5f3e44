from consumer.archive.reading.file_range import PIECE_BYTES, FileRange


def test_a_stretch_is_read_in_pieces_as_often_as_it_is_needed() -> None:
    reads: list[tuple[int, int]] = []

    def read(offset: int, size: int) -> bytes:
        reads.append((offset, size))
        return bytes(size)

    file_range = FileRange(read, 100, 2 * PIECE_BYTES + 5)
    for _ in range(2):
        assert [len(piece) for piece in file_range] == [PIECE_BYTES, PIECE_BYTES, 5]
    assert reads == 2 * [(100, PIECE_BYTES), (100 + PIECE_BYTES, PIECE_BYTES), (100 + 2 * PIECE_BYTES, 5)]
