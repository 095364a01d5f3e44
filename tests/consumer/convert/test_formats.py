from pathlib import Path

import pytest

from consumer.convert.formats import FileFormat, detect_format

DATA = Path(__file__).parents[2] / "data"


@pytest.mark.parametrize(("name", "format"), [
    ("golden-v1.kvp.zst", FileFormat.ARCHIVE), ("foreign/shoebox-v1.bin", FileFormat.SHOEBOX),
    ("foreign/theia-1763741700-1763741760", FileFormat.THEIA), ("foreign/cloudinit-22.4.pool", FileFormat.CLOUDINIT),
])  # fmt: skip
def test_the_first_bytes_show_the_format(name: str, format: FileFormat) -> None:
    assert detect_format(DATA / name) is format


@pytest.mark.parametrize(
    ("raw", "format"), [(b'{"a":1}', FileFormat.JSONL), (b"[1]", FileFormat.JSONL), (b"text", None), (b"", None)]
)
def test_a_file_of_no_known_format_has_none(tmp_path: Path, raw: bytes, format: FileFormat | None) -> None:
    (tmp_path / "x").write_bytes(raw)
    assert detect_format(tmp_path / "x") is format
