import pytest

from consumer.amqp.read_gate import Pause, ReadGate, pause_between_reads_s
from tests.support.transport import Transport


def test_the_socket_is_read_only_while_no_pause_is_in_force() -> None:
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
def test_a_pause_lasts_as_long_as_a_few_messages_and_rare_messages_have_none(gap_s: float, wait_s: float) -> None:
    """At 100 messages a second, one wake-up, write and sync for each message cost more than everything else."""
    assert pause_between_reads_s(gap_s, 8000) == pytest.approx(wait_s)


@pytest.mark.parametrize("window", [1, 2, 3, 4, 6, 8, 24])
def test_in_a_small_window_the_pauses_do_not_grow(window: int) -> None:
    """The broker waits for acks of the window. With two messages in it, each waited 60 ms, and the rate was 32 a second."""
    gap_s = 0.01
    for _ in range(50):
        gap_s = (pause_between_reads_s(gap_s, window) + 0.0005) / window
    assert pause_between_reads_s(gap_s, window) <= 0.003
