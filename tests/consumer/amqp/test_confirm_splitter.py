import struct
from random import Random

import pamqp.frame
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands as spec
from pamqp.heartbeat import Heartbeat

from consumer.amqp.confirm_splitter import Answer, Blocked, Closed, Confirm, ConfirmSplitter, Returned
from tests.support.answers import frames_of
from tests.support.cutting import cut
from tests.support.wire import frame, short

OTHERS = [
    pamqp.frame.marshal(spec.Confirm.SelectOk(), 1),
    pamqp.frame.marshal(spec.Channel.OpenOk(), 2),
    pamqp.frame.marshal(Heartbeat(), 0),
]
channels = st.integers(1, 65_535)
texts = st.text(max_size=40)
ascii_texts = st.text(alphabet="abc '-", max_size=40)
confirms = st.builds(Confirm, channels, st.integers(0, (1 << 63) - 1), st.booleans(), st.booleans())
returns = st.builds(
    Returned, channels, st.just(312), st.just("NO_ROUTE"), texts, texts, st.binary(max_size=300).map(lambda raw: b"\x00\x00" + raw),
    st.binary(max_size=9000),
)  # fmt: skip
blocked = st.builds(Blocked, st.sampled_from(["", "low on memory", "low on disk"]))
closed = st.builds(Closed, st.sampled_from([0, 1, 7]), st.sampled_from([320, 404, 406]), ascii_texts)
answers = confirms | returns | blocked


def fed(pieces: list[bytes]) -> tuple[list[Answer], bytes]:
    splitter, found, others = ConfirmSplitter(), [], b""
    for piece in pieces:
        some, rest = splitter.feed(piece)
        found += some
        others += rest
    return found, others


@given(st.lists(answers | st.sampled_from(OTHERS), max_size=12), st.randoms(use_true_random=False))
def test_the_same_bytes_cut_anywhere_give_the_same_answers(sent: list[Answer | bytes], random: Random) -> None:
    raw = b"".join(one if isinstance(one, bytes) else b"".join(frames_of(one)) for one in sent)
    found, others = fed(cut(raw, random))
    assert found == [one for one in sent if not isinstance(one, bytes)]
    assert others == b"".join(one for one in sent if isinstance(one, bytes))


@given(st.lists(returns, min_size=2, max_size=2), st.randoms(use_true_random=False))
def test_returns_of_two_channels_may_interleave(sent: list[Returned], random: Random) -> None:
    sent = [one._replace(channel=channel) for channel, one in enumerate(sent, 1)]
    waiting = [frames_of(one) for one in sent]
    raw = b""
    while any(waiting):
        raw += random.choice([frames for frames in waiting if frames]).pop(0)
    found, others = fed(cut(raw, random))
    assert sorted(found) == sent
    assert others == b""


@given(st.lists(closed, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_a_close_is_noticed_and_passed_on(sent: list[Closed], random: Random) -> None:
    """The library must answer it."""
    raw = b"".join(b"".join(frames_of(one)) for one in sent)
    assert fed(cut(raw, random)) == (sent, raw)


@given(st.lists(st.sampled_from(OTHERS) | st.binary(max_size=50), max_size=8), st.randoms(use_true_random=False))
def test_bytes_that_are_not_amqp_are_passed_on(chunks: list[bytes], random: Random) -> None:
    raw = b"".join(chunks)
    splitter, others = ConfirmSplitter(), b""
    for piece in cut(raw, random):
        others += splitter.feed(piece)[1]
    assert raw.startswith(others)
    assert splitter.passthrough or len(raw) - len(others) < 1 << 17


def test_an_ack_with_a_wrong_end_is_not_an_ack() -> None:
    ack = frames_of(Confirm(1, 7, False, True))[0]
    wrong = ack[:-1] + b"\x00"
    assert fed([ack + wrong + ack]) == ([Confirm(1, 7, False, True)], wrong + ack)


def test_the_library_gets_the_text_of_a_close_as_ascii() -> None:
    """The text may name an exchange whose name is not UTF-8. The library took the frame for a broken connection."""
    text = b"no exchange 'caf\xe9'"
    close = frame(1, 3, b"\x00\x14\x00\x28" + struct.pack(">H", 404) + short(text) + b"\x00\x3c\x00\x28")
    found, others = fed([close])
    assert found == [Closed(3, 404, "no exchange 'caf\udce9'")]
    _size, channel, read = pamqp.frame.unmarshal(others)
    assert isinstance(read, spec.Channel.Close)
    assert (channel, read.reply_code, read.reply_text) == (3, 404, "no exchange 'caf?'")


def test_content_that_follows_no_return_is_passed_on() -> None:
    """For example the content of basic.get-ok."""
    get_ok = pamqp.frame.marshal(spec.Basic.GetOk(1, False, "ex", "rk", 0), 1)
    content = b"".join(frames_of(Returned(1, 312, "NO_ROUTE", "", "", b"\x00\x00", b"body"))[1:])
    assert fed([get_ok + content]) == ([], get_ok + content)
