import io
from pathlib import Path

import indexed_zstd
import pytest
import pyzstd

from codec.errors import CodecError
from codec.seektable import (
    SEEK_END_BYTES,
    batches_in,
    decode_seek_table,
    encode_seek_table,
    seek_table_bytes,
    seek_table_size,
)
from tests.codec.samples import small_archive


def test_pyzstd_follows_the_seek_table() -> None:
    with pyzstd.SeekableZstdFile(io.BytesIO(small_archive(5))) as file:
        file.seek(2560 * 3)
        assert b"|id-3|0" in file.read(512)


def test_indexed_zstd_follows_the_seek_table(tmp_path: Path) -> None:
    path = tmp_path / "a.zst"
    path.write_bytes(small_archive(5))
    file = indexed_zstd.IndexedZstdFile(str(path))
    file.seek(2560 * 4)
    assert b"|id-4|0" in file.read(512)
    file.close()


def test_a_seek_table_that_does_not_end_the_file_is_refused() -> None:
    table = encode_seek_table([(10, 0), (20, 2560)])
    assert decode_seek_table(table) == [(10, 0), (20, 2560)]
    assert seek_table_bytes(table[-SEEK_END_BYTES:]) == len(table)
    for damaged in (table[:-1], table + b"x", b"", table[1:]):
        with pytest.raises(CodecError):
            decode_seek_table(damaged)


def test_the_number_of_batches_follows_from_the_size_of_the_seek_table() -> None:
    assert [batches_in(seek_table_size(2 + 2 * batches)) for batches in (0, 1, 7)] == [0, 1, 7]
    assert batches_in(0) == 0
