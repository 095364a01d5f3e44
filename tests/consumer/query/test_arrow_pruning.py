from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from codec.archive import BatchHeader
from consumer.query.arrow_pruning import columns_of, possible

TIME = pa.timestamp("us", tz="UTC")
time, arrived, kind = pc.field("time"), pc.field("arrived"), pc.field("type")


def at(time_us: int) -> pa.Scalar:
    return pa.scalar(time_us, TIME)


HEADERS = [
    BatchHeader(n, 1, 1, 9, 2560, n, 100 * n, 100 * n + 99, 100 * n + 50, 100 * n + 149, 0, 0, 0) for n in range(5)
]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (time >= at(300), [3, 4]),
        (time < at(100), [0]),
        (time == at(250), [2]),
        (arrived <= at(149), [0]),
        (arrived >= at(449), [3, 4]),
        ((time >= at(100)) & (arrived < at(250)), [1]),
        ((time < at(100)) | (time > at(399)), [0, 4]),
        ((time < at(100)) | (kind == "x"), [0, 1, 2, 3, 4]),
        (kind == "x", [0, 1, 2, 3, 4]),
        (pc.is_in(time, pa.array([120, 420], TIME)), [1, 4]),
        (~(time >= at(300)), [0, 1, 2]),
        ((time > at(300)) & (time < at(200)), []),
        (pc.is_null(time), []),
    ],
    ids=str,
)
def test_only_batches_whose_times_may_fulfil_the_condition_are_left(
    condition: pc.Expression, expected: list[int]
) -> None:
    assert possible(HEADERS, condition) == expected


def test_no_batch_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the names of the batches are no files
    assert possible(HEADERS, time >= at(0)) == [0, 1, 2, 3, 4]


def test_the_columns_that_a_condition_reads() -> None:
    assert columns_of((time > at(1)) & (kind == "x")) == ("type", "time")
    assert columns_of(pc.is_in(pc.field("id"), pa.array(["a"])) | pc.is_valid(pc.field("duplicate"))) == (
        "id",
        "duplicate",
    )
    assert columns_of(pc.scalar(True)) == ()
