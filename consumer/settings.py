"""Settings: one frozen section a subject, from defaults, a TOML file, the environment and flags, in this order.

Invariants: every setting has one name (`[broker] url` = `DEEDBOX_BROKER__URL` = `--set broker.url=…`), and
`…_FILE` reads it from a file; what nobody knows is an error that names the nearest thing somebody knows; all faults come in one message;
secrets are never shown.
"""

import difflib
import os
import re
import socket
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta
from yarl import URL

from consumer.archive import naming
from consumer.errors import Exit, Fatal
from consumer.ingest.topology import Topology, without_password

PREFIX = "DEEDBOX_"
PREFETCH_MAX = 65_535  # basic.qos carries it in 16 bits
MIB = 1 << 20

Positive = Annotated[int, Meta(ge=1)]
Bytes = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
Arguments = dict[str, Any]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A section: every field has a default, and its meaning beside it in `MEANINGS`."""


class BrokerSection(Section, frozen=True):
    """Where deliveries come from."""

    url: str = "amqp://guest:guest@127.0.0.1:5672/"
    password: str = ""
    queue: Annotated[str, Meta(min_length=1, max_length=255)] = "deedbox"
    queue_type: Literal["quorum", "classic"] = "quorum"
    queue_arguments: Arguments = {}
    exchange: Annotated[str, Meta(max_length=127)] = ""
    exchange_type: str = "topic"
    exchange_arguments: Arguments = {}
    binding_keys: tuple[str, ...] = ("#",)
    binding_arguments: Arguments = {}
    consumer_arguments: Arguments = {}
    declare: bool = True
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    watchdog_s: Annotated[float, Meta(ge=1)] = 60.0


class BatchSection(Section, frozen=True):
    """When a batch is committed."""

    count: Annotated[int, Meta(ge=1, le=PREFETCH_MAX // 2)] = 2000
    bytes: Annotated[int, Meta(ge=1, le=1 << 30)] = 8 * MIB
    linger_s: Annotated[float, Meta(ge=0, le=60)] = 0.005


class ArchiveSection(Section, frozen=True):
    """Where archives go."""

    dir: Annotated[str, Meta(min_length=1)] = "archive"
    instance: str = ""
    name: str = naming.TEMPLATE
    level: Annotated[int, Meta(ge=1, le=19)] = 1
    describe: Literal["amqp", "openstack"] = "amqp"
    free_bytes_min: Bytes = 64 * MIB


class RollSection(Section, frozen=True):
    """When an archive is sealed; 0 means never for that reason."""

    bytes: Bytes = 128 * MIB
    age_s: Seconds = 3600.0
    events: Annotated[int, Meta(ge=0)] = 0
    align_s: Annotated[int, Meta(ge=0)] = 0


class ServiceSection(Section, frozen=True):
    """The process."""

    drain_s: Annotated[float, Meta(gt=0)] = 30.0
    stats_s: Annotated[float, Meta(ge=0.1)] = 10.0
    log: Literal["auto", "json", "console"] = "auto"


class Settings(msgspec.Struct, frozen=True):
    """All sections."""

    broker: BrokerSection = BrokerSection()
    batch: BatchSection = BatchSection()
    archive: ArchiveSection = ArchiveSection()
    roll: RollSection = RollSection()
    service: ServiceSection = ServiceSection()

    @property
    def instance(self) -> str:
        """Who writes: the setting, or the name of the host."""
        return self.archive.instance or naming.instance_from(socket.gethostname())

    @property
    def prefetch(self) -> int:
        """Two batches: one commits while the next one grows."""
        return 2 * self.batch.count

    @property
    def topology(self) -> Topology:
        """The broker's part, with the password in its place."""
        broker = self.broker
        url = str(URL(broker.url).with_password(broker.password)) if broker.password else broker.url
        return Topology(
            url, broker.queue, broker.queue_type, broker.queue_arguments, broker.exchange, broker.exchange_type,
            broker.exchange_arguments, broker.binding_keys, broker.binding_arguments, broker.consumer_arguments,
            broker.declare, f"deedbox {self.instance}", broker.ca_file, broker.certificate_file, broker.key_file,
        )  # fmt: skip


MEANINGS = {
    "broker.url": "amqp:// or amqps:// with user, host, port and virtual host",
    "broker.password": "replaces the password of the URL; give it as broker.password_file or DEEDBOX_BROKER__PASSWORD_FILE",
    "broker.queue": "the queue to consume",
    "broker.queue_type": "quorum or classic",
    "broker.queue_arguments": "further arguments of the queue, a table (JSON in the environment)",
    "broker.exchange": "the exchange to bind the queue to; empty: the queue is consumed as it is",
    "broker.exchange_type": "topic, fanout, direct, headers, or a plugin's type",
    "broker.exchange_arguments": "arguments of the exchange",
    "broker.binding_keys": "routing keys to bind with; several with commas in the environment",
    "broker.binding_arguments": "arguments of the bindings, for headers exchanges",
    "broker.consumer_arguments": "arguments of the consumer, such as x-priority",
    "broker.declare": "false: queue and exchange must exist, and are taken as they are",
    "broker.ca_file": "the authority that signed the broker's certificate; empty: the system's",
    "broker.certificate_file": "our certificate, where the broker asks for one",
    "broker.key_file": "its key",
    "broker.watchdog_s": "messages wait and none is delivered for so long: connect anew",
    "batch.count": "deliveries of a batch, at most; the prefetch is twice that",
    "batch.bytes": "bytes of a batch, at most (one larger delivery is a batch of its own)",
    "batch.linger_s": "how long a batch may wait for more deliveries while they keep coming",
    "archive.dir": "the directory of the archives",
    "archive.instance": "who writes, unique in the directory; empty: the host's name",
    "archive.name": "template of sealed archives' paths",
    "archive.level": "zstd level",
    "archive.describe": "where id, type and time come from: amqp (properties) or openstack (notification bodies)",
    "archive.free_bytes_min": "pause when less than this is free",
    "roll.bytes": "seal at this size",
    "roll.age_s": "seal at this age",
    "roll.events": "seal at this count",
    "roll.align_s": "seal when the clock (UTC) passes a multiple of this",
    "service.drain_s": "how long SIGTERM waits for what is held to be committed",
    "service.stats_s": "how often the stats line comes",
    "service.log": "json, console, or auto: console on a terminal",
}  # fmt: skip

SECTIONS: dict[str, type[Section]] = get_type_hints(Settings)
_TYPES = {f"{section}.{name}": hint for section, kind in SECTIONS.items() for name, hint in get_type_hints(kind, include_extras=True).items()}  # fmt: skip

# Kubernetes sets these for every Service of the namespace; one called deedbox would stop every Deedbox.
_SERVICE_LINK = re.compile(r"DEEDBOX_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP|SCTP)(_.*)?)?)")

Source = tuple[str, str, object]  # where it was said, the setting's name, the value


def load(
    config: Path | None, environ: Mapping[str, str], flags: Mapping[str, object], assignments: list[str]
) -> Settings:
    """Settings from all sources. Raises Fatal with every fault, one a line."""
    faults: list[str] = []
    said: dict[str, object] = {}
    sources = [*_from_file(config, faults), *_from_environment(environ), *_from_flags(flags, assignments, faults)]
    for origin, name, raw in sources:
        try:
            key, value = _resolve(name, raw)
            said[key] = _convert(key, value)
        except ValueError as fault:
            faults.append(f"{origin}: {fault}")
    settings = _build(said)
    faults += [] if faults else list(_inconsistencies(settings))
    if faults:
        raise Fatal(Exit.SETTINGS, "settings: " + "; ".join(faults), "`deedbox config` lists all settings")
    return settings


def _from_file(config: Path | None, faults: list[str]) -> Iterator[Source]:
    if config is None:
        return
    try:
        document = tomllib.loads(config.read_text())
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"{config}: {getattr(error, 'strerror', None) or error}")
        return
    except tomllib.TOMLDecodeError as error:
        faults.append(f"{config}: not TOML: {error}")
        return
    for section, members in document.items():
        if not isinstance(members, dict):
            yield str(config), section, members
            continue
        for name, value in members.items():
            yield str(config), f"{section}.{name}", value


def _from_environment(environ: Mapping[str, str]) -> Iterator[Source]:
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and not _SERVICE_LINK.fullmatch(variable):
            yield variable, variable.removeprefix(PREFIX).lower().replace("__", "."), environ[variable]


def _from_flags(flags: Mapping[str, object], assignments: list[str], faults: list[str]) -> Iterator[Source]:
    for assignment in assignments:
        name, sign, text = assignment.partition("=")
        if not sign:
            faults.append(f"--set {assignment}: expected section.name=value")
            continue
        yield f"--set {name}", name, text
    for name, value in flags.items():
        if value is not None:
            yield "--" + name.rpartition(".")[2].replace("_", "-"), name, value


def _resolve(name: str, value: object) -> tuple[str, object]:
    """The setting that a name means, and its value; `…_file` names are read. Raises ValueError."""
    if name in _TYPES:
        return name, value
    key = name.removesuffix("_file")
    if name.endswith("_file") and key in _TYPES:
        try:
            return key, Path(str(value)).read_text().rstrip("\r\n")
        except OSError as error:
            raise ValueError(f"{value}: {error.strerror}") from error
    near = difflib.get_close_matches(name, _TYPES, 1, 0.4)
    raise ValueError(f"unknown setting {name!r}" + (f", the nearest known one is {near[0]!r}" if near else ""))


def _convert(key: str, value: object) -> object:
    """The value in the type of its setting; text is taken apart where the type is no text. Raises ValueError."""
    hint = _TYPES[key]
    try:
        if isinstance(value, str) and hint == tuple[str, ...]:
            value = [part.strip() for part in value.split(",")]
        elif isinstance(value, str) and hint == Arguments:
            value = msgspec.json.decode(value)
        return msgspec.convert(value, hint, strict=not isinstance(value, str))
    except msgspec.MsgspecError as error:
        shown = "" if key in _SECRETS else f", {value!r} found"
        raise ValueError(f"{key}: {str(error)[:1].lower()}{str(error)[1:]}{shown}") from error


def _build(said: Mapping[str, object]) -> Settings:
    sections = {
        section: kind(
            **{name: said[f"{section}.{name}"] for name in kind.__struct_fields__ if f"{section}.{name}" in said}
        )
        for section, kind in SECTIONS.items()
    }
    return Settings(**sections)  # type: ignore[arg-type]


def _inconsistencies(settings: Settings) -> Iterator[str]:
    """What no single value is wrong about."""
    if not _is_broker(settings.broker.url):
        yield "broker.url: expected amqp://user:password@host:port/vhost, or amqps://"
    if settings.archive.instance and not naming.is_instance(settings.archive.instance):
        yield f"archive.instance: expected letters, digits, '.', '_' and '-', 64 at most, {settings.archive.instance!r} found"
    if fault := naming.template_fault(settings.archive.name):
        yield f"archive.name: {fault}"
    if settings.roll.bytes and settings.roll.bytes < settings.batch.bytes // 64:
        yield f"roll.bytes: {settings.roll.bytes} is less than one batch may take (batch.bytes = {settings.batch.bytes})"
    for key in settings.broker.binding_keys:
        if len(key.encode()) > 255:
            yield f"broker.binding_keys: {key[:20]!r}… is longer than 255 bytes"


def _is_broker(url: str) -> bool:
    try:
        parsed = URL(url)
        return parsed.scheme in ("amqp", "amqps") and bool(parsed.host) and parsed.port != 0
    except ValueError:
        return False


_SECRETS = {"broker.password", "broker.url"}


def shown(settings: Settings) -> Iterator[tuple[str, object, object, str]]:
    """Every setting: name, value in force, default, meaning. Secrets are masked."""
    defaults = Settings()
    for key in _TYPES:
        section, name = key.split(".")
        masked: Callable[[Any], object] = _MASKS.get(key, lambda value: value)
        value = getattr(getattr(settings, section), name)
        yield key, masked(value), masked(getattr(getattr(defaults, section), name)), MEANINGS[key]


_MASKS: dict[str, Callable[[Any], object]] = {
    "broker.url": without_password,
    "broker.password": lambda value: "***" if value else "",
}


def environment() -> Mapping[str, str]:
    """The environment: nothing else in Deedbox reads it."""
    return os.environ


def as_toml(value: object) -> str:
    """A value as it would stand in the TOML file."""
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{name}" = {as_toml(member)}' for name, member in value.items()) + "}"
    return msgspec.json.encode(value).decode()
