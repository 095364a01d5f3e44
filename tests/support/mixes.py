"""Streams of events as real services send them, from a seed."""

import random
import uuid
from collections.abc import Iterator

from codec.amqp import encode_header
from codec.event import Event, format_time
from consumer.demo.notifications import notifications
from tests.support.archive_logs import START_US


def notification_mix() -> Iterator[Event]:
    """2,300 B, as a compute cloud sends them."""
    now, dice = START_US, random.Random(3)
    for found in notifications(3000):
        now += dice.randrange(1_000, 900_000)
        header = encode_header({"content_type": "application/json", "delivery_mode": 2, "message_id": found.message_id})
        yield Event(found.message_id, found.event_type, now, now, "nova", found.routing_key, header, found.body)


def small_mix() -> Iterator[Event]:
    """415 B: a notification with the members that every one has, of twenty instances of five tenants."""
    now, dice = START_US, random.Random(3)
    instances, tenants = [_uuid(dice) for _ in range(20)], [_uuid(dice).replace("-", "") for _ in range(5)]
    for _ in range(6000):
        now += dice.randrange(1_000, 900_000)
        id, kind, instance = (
            _uuid(dice),
            dice.choice(["compute.instance.update", "compute.instance.exists"]),
            dice.randrange(20),
        )
        text = (
            f'{{"message_id":"{id}","event_type":"{kind}","publisher_id":"compute.host-{instance % 7}","priority":"INFO",'
            f'"timestamp":"{format_time(now - dice.randrange(3000))}","_context_request_id":"req-{_uuid(dice)}",'
            f'"payload":{{"instance_id":"{instances[instance]}","tenant_id":"{tenants[instance % 5]}","state":"active"'
        )
        body = (text + f',"pad":"{"-" * (415 - len(text) - 11)}"}}}}').encode()
        header = encode_header({"content_type": "application/json", "delivery_mode": 2, "message_id": id})
        yield Event(id, kind, now, now, "nova", "notifications.info", header, body)


def _uuid(dice: random.Random) -> str:
    return str(uuid.UUID(int=dice.getrandbits(128)))
