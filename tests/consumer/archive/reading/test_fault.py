from pathlib import Path

from consumer.archive.reading.fault import ReadFault

PATH = Path("a.kvp.zst")


def test_a_fault_names_path_offset_and_reason() -> None:
    assert str(ReadFault(PATH, 7, "damaged")) == "a.kvp.zst: at 7: damaged"


def test_a_fault_without_a_place_names_path_and_reason() -> None:
    assert str(ReadFault.of(PATH, FileNotFoundError(2, "No such file or directory"))) == (
        "a.kvp.zst: No such file or directory"
    )
    assert str(ReadFault.of(PATH, ValueError("no archive"))) == "a.kvp.zst: no archive"
