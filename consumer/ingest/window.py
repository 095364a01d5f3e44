"""How wide the window of unacknowledged deliveries is, and how it grows. Pure.

Invariant: each window is at least four times as wide as the one before. A wider window is a second consumer on the channel, and the
deliveries of the first one do not count in it, so that the sum of all windows is what can be unacknowledged.
Source: AMQP 0-9-1 `basic.qos`, as RabbitMQ reads it: a limit for each new consumer.
"""


def wider(prefetch: int, most: int) -> int:
    """The next window after `prefetch`, on the way to `most`."""
    return 4 * prefetch if 16 * prefetch <= most else most


def unacknowledged_max(prefetch: int) -> int:
    """How many deliveries can be unacknowledged in a session whose window grows up to `prefetch`."""
    return prefetch + prefetch // 3 + 1
