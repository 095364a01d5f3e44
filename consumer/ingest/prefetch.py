"""How the prefetch grows from a reduced value to the configured one. Pure functions.

Invariant: each prefetch is at least four times the one before. To increase the prefetch, a second consumer is started on the
channel, and deliveries of the first consumer do not count in the second one's limit. So the sum of all prefetches is the
number of deliveries that can be unacknowledged.
Source: AMQP 0-9-1 `basic.qos`. RabbitMQ applies the limit to each new consumer of the channel.
"""


def next_prefetch(prefetch: int, prefetch_max: int) -> int:
    """Return the prefetch that follows `prefetch` on the way to `prefetch_max`."""
    return 4 * prefetch if 16 * prefetch <= prefetch_max else prefetch_max


def unacknowledged_max(prefetch: int) -> int:
    """Return how many deliveries can be unacknowledged in a session whose prefetch grows up to `prefetch`."""
    return prefetch + prefetch // 3 + 1
