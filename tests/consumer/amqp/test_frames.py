import pamqp.frame
import pytest
from pamqp import commands

from consumer.amqp.frames import ack_frame


@pytest.mark.parametrize("multiple", [False, True])
@pytest.mark.parametrize(("channel", "tag"), [(1, 1), (65_535, (1 << 63) - 1)])
def test_the_ack_frame_equals_that_of_the_library(channel: int, tag: int, multiple: bool) -> None:
    expected = pamqp.frame.marshal(commands.Basic.Ack(tag, multiple), channel)
    assert ack_frame(channel, tag, multiple) == expected
