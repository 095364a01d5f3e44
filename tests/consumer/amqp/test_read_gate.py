import pytest

from consumer.amqp.read_gate import Pause, ReadGate, pause_between_reads_s
from tests.support.transport import Transport


def test_the_socket_is_read_only_when_no_reason_to_stop_is_left() -> None:
    gate, socket = ReadGate(), Transport()
    gate.pause(Pause.HELD_BYTES)
    gate.connect(socket)
    assert not socket.reads
    gate.pause_reading()
    gate.resume(Pause.HELD_BYTES)
    assert not socket.reads
    gate.resume_reading()
    assert socket.reads


@pytest.mark.parametrize(
    ("gap_s", "wait_s"),
    [
        (0.1, 0.0),
        (0.06, 0.06),
        (0.05, 0.06),
        (0.01, 0.057),
        (0.002, 0.009),
        (0.001, 0.003),
        (0.0005, 0.003),
        (0.0, 0.003),
    ],
)
def test_a_rest_lasts_as_long_as_a_few_messages_and_rare_messages_have_none(gap_s: float, wait_s: float) -> None:
    """At 100 messages a second, a wake, a write and a sync of its own for each message cost more than all else."""
    assert pause_between_reads_s(gap_s, 8000) == pytest.approx(wait_s)


@pytest.mark.parametrize("window", [1, 2, 3, 4, 6, 8, 24])
def test_the_rests_of_a_small_window_do_not_feed_on_themselves(window: int) -> None:
    """The broker sends no more until the window is acknowledged: with two messages a window, each waited 60 ms, 32 a second."""
    gap_s = 0.01
    for _ in range(50):
        gap_s = (pause_between_reads_s(gap_s, window) + 0.0005) / window
    assert pause_between_reads_s(gap_s, window) <= 0.003
