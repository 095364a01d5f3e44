"""Values for property tests."""

import struct

from hypothesis import strategies as st

from codec.amqp import PROPERTIES, Decimal, Field
from codec.event import TIME_US_MAX, TIME_US_MIN, Event


def _one_form(text: str) -> str:
    """Two surrogates that form a pair are read as one character by JSON."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


texts = st.text(st.characters(exclude_categories=[])).map(_one_form) | st.text(
    '|%\0\n"\\é😀\ud800\udc80', max_size=400
).map(_one_form)
times = st.integers(TIME_US_MIN, TIME_US_MAX)
bodies = (
    st.binary()
    | st.text().map(str.encode)
    | st.text('"\\\n\0é😀x', min_size=500, max_size=6000).map(str.encode)
    | st.binary(min_size=1500, max_size=9000)
)
events = st.builds(
    Event, texts, texts, times, times, texts, texts, st.binary(max_size=3000), bodies,
    st.booleans(), st.just("") | st.sampled_from(["a1-00000007:41", f"{'i' * 64}-{10**18}:{10**18}"]), st.lists(texts, max_size=4).map(tuple),
)  # fmt: skip

_wire_text = st.text(max_size=60).filter(lambda text: len(text.encode()) <= 255)
_float32 = st.floats(width=32, allow_nan=False)


def _fields(children: st.SearchStrategy[Field]) -> st.SearchStrategy[Field]:
    return (
        st.lists(children, max_size=4).map(lambda found: Field("A", tuple(found)))
        | st.lists(st.tuples(_wire_text, children), max_size=4).map(lambda found: Field("F", tuple(found)))
    )  # fmt: skip


_INTEGERS = {"b": 8, "s": 16, "I": 32, "l": 64}
_UNSIGNED = {"B": 8, "u": 16, "i": 32, "T": 64}
leaves = st.one_of(
    st.booleans().map(lambda value: Field("t", value)),
    *[
        st.integers(-(1 << bits - 1), (1 << bits - 1) - 1).map(lambda value, kind=kind: Field(kind, value))
        for kind, bits in _INTEGERS.items()
    ],
    *[
        st.integers(0, (1 << bits) - 1).map(lambda value, kind=kind: Field(kind, value))
        for kind, bits in _UNSIGNED.items()
    ],
    _float32.map(lambda value: Field("f", value)),
    st.floats(allow_nan=False).map(lambda value: Field("d", value)),
    st.binary(max_size=40).map(lambda value: Field("S", value)),
    st.binary(max_size=40).map(lambda value: Field("x", value)),
    st.builds(
        lambda scale, mantissa: Field("D", Decimal(scale, mantissa)), st.integers(0, 255), st.integers(0, (1 << 32) - 1)
    ),
    st.just(Field("V", None)),
)
tables = st.lists(st.tuples(_wire_text, st.recursive(leaves, _fields, max_leaves=12)), max_size=6).map(tuple)
_BY_KIND = {"s": _wire_text, "F": tables, "B": st.integers(0, 255), "T": st.integers(0, (1 << 64) - 1)}
headers = st.fixed_dictionaries({}, optional={name: _BY_KIND[kind] for name, kind, _ in PROPERTIES})


def shortstr(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("B", len(raw)) + raw
