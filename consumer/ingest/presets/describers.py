"""Put the describers of `archive.describe` together.

Invariant: with the preset `amqp` alone, a delivery costs no more than `describe`.
"""

from collections.abc import Sequence

from consumer.ingest.describe import Describe, Describer, describe
from consumer.ingest.presets.broker_events import describe_broker_event
from consumer.ingest.presets.celery import describe_celery
from consumer.ingest.presets.cloudevents import describe_cloudevent
from consumer.ingest.presets.firehose import describe_traced
from consumer.ingest.presets.function import load_function
from consumer.ingest.presets.guard import Guard, checking
from consumer.ingest.presets.names import Preset
from consumer.ingest.presets.openstack import describe_openstack
from consumer.ingest.presets.otel import describe_trace

DESCRIBERS: dict[Preset, Describer] = {
    Preset.OPENSTACK: describe_openstack,
    Preset.CLOUDEVENTS: describe_cloudevent,
    Preset.CELERY: describe_celery,
    Preset.FIREHOSE: describe_traced,
    Preset.BROKER_EVENTS: describe_broker_event,
    Preset.OTEL: describe_trace,
}


def describe_by(names: Sequence[str]) -> Describe:
    """The function that describes deliveries: the AMQP properties, refined by each of the named describers in their order.

    `names`: presets, or `module:function`. Raises Fatal if a function cannot be imported.
    """
    described: Describe = describe
    for name in names:
        if name != Preset.AMQP:
            described = _refining(described, Guard(name, _describer(name)))
    return described


def _refining(described: Describe, guard: Guard) -> Describe:
    return lambda delivery: guard(delivery, described(delivery))


def _describer(name: str) -> Describer:
    return DESCRIBERS[Preset(name)] if name in list(Preset) else checking(load_function(name))
