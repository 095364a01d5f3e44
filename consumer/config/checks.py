"""Checks of the settings that the type of a single value cannot express."""

from collections.abc import Iterator
from pathlib import Path

from yarl import URL

from consumer.archive import naming
from consumer.config.sections import Settings
from consumer.ingest.presets.names import name_faults
from consumer.ship.steps.step import StepKind, parse_steps

SHORT_STRING_BYTES_MAX = 255  # of a name in AMQP; source: AMQP 0-9-1 section 4.2.5.3


def faults_of(settings: Settings) -> Iterator[str]:
    """The errors in the settings: one text each, which names the setting."""
    if not _is_broker(settings.broker.url):
        yield "broker.url: expected amqp://user:password@host:port/vhost, or amqps://"
    if settings.replay.url and not _is_broker(settings.replay.url):
        yield "replay.url: expected amqp://user:password@host:port/vhost, or amqps://"
    if not naming.is_instance(settings.replay.checkpoint):
        yield f"replay.checkpoint: expected {naming.INSTANCE_RULE}, found {settings.replay.checkpoint!r}"
    if settings.archive.instance and not naming.is_instance(settings.archive.instance):
        yield f"archive.instance: expected {naming.INSTANCE_RULE}, found {settings.archive.instance!r}"
    yield from (f"archive.describe: {fault}" for fault in name_faults(settings.archive.describe))
    if fault := naming.template_fault(settings.archive.name):
        yield f"archive.name: {fault}"
    if settings.roll.bytes and settings.roll.bytes < settings.batch.bytes // 64:
        yield f"roll.bytes: {settings.roll.bytes} is smaller than a batch can be (batch.bytes = {settings.batch.bytes})"
    if "@" in settings.objects.endpoint:
        yield "objects.endpoint: expected a URL without user and password; set objects.access_key and objects.secret_key_file"
    yield from _step_faults(settings)
    for name, value in _short_strings(settings):
        if fault := _short_string_fault(value):
            yield f"{name}: {value[:20]!r}… {fault}"


def _step_faults(settings: Settings) -> Iterator[str]:
    """What is wrong with the steps on seal. A linked or moved archive inside of the archive directory would be there twice."""
    try:
        steps = parse_steps(settings.seal.steps)
    except ValueError as fault:
        yield f"seal.steps: {fault}"
        return
    if any(step.kind is StepKind.SHIP for step in steps) and not settings.ship.destinations:
        yield "seal.steps: 'ship' needs a destination in ship.destinations"
    directory = Path(settings.archive.dir).resolve()
    for step in steps:
        if step.kind in (StepKind.MOVE, StepKind.LINK) and Path(step.argument).resolve().is_relative_to(directory):
            yield f"seal.steps: {step.text!r}: expected a directory outside of the archive directory {directory}"


def _short_strings(settings: Settings) -> Iterator[tuple[str, str]]:
    """The names and routing keys that AMQP carries as short strings."""
    broker, watch = settings.broker, settings.watch
    yield "broker.queue", broker.queue
    yield "broker.exchange", broker.exchange
    yield "watch.exchange", watch.exchange
    yield "watch.routing_key", watch.routing_key
    yield "replay.exchange", settings.replay.exchange
    yield "replay.routing_key", settings.replay.routing_key
    for key in broker.binding_keys:
        yield "broker.binding_keys", key


def _short_string_fault(value: str) -> str:
    """Why AMQP cannot carry a name; empty if it can."""
    try:
        return "is longer than 255 bytes" if len(value.encode()) > SHORT_STRING_BYTES_MAX else ""
    except UnicodeEncodeError:
        return "is not UTF-8"


def _is_broker(url: str) -> bool:
    try:
        parsed = URL(url)
        return parsed.scheme in ("amqp", "amqps") and bool(parsed.host) and parsed.port != 0
    except ValueError:
        return False
