"""Settings: one frozen section a subject, from defaults, a TOML file, the environment and flags, in this order.

Invariants: every setting has one name (`[broker] url` = `DEEDBOX_BROKER__URL` = `--set broker.url=…`), and
`…_FILE` reads it from a file; what nobody knows is an error that names the nearest thing somebody knows; all faults come in one message;
secrets are never shown.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
from yarl import URL

from consumer.amqp.topology import without_password
from consumer.archive import naming
from consumer.config.sections import SECTIONS, SETTINGS, Settings
from consumer.errors import Exit, Fatal
from consumer.section import Arguments

PREFIX = "DEEDBOX_"

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
            faults.append(f"{origin.removesuffix(f' {name}')}: {fault}")  # the fault names the setting
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
    if name in SETTINGS:
        return name, value
    key = name.removesuffix("_file")
    if name.endswith("_file") and key in SETTINGS:
        try:
            return key, Path(str(value)).read_text().rstrip("\r\n")
        except OSError as error:
            raise ValueError(f"{value}: {error.strerror}") from error
    near = difflib.get_close_matches(name, SETTINGS, 1, 0.4)
    raise ValueError(f"unknown setting {name!r}" + (f", the nearest known one is {near[0]!r}" if near else ""))


_EXAMPLE = """a JSON object such as {"x-delivery-limit": 20}, or a table in the file of --config"""


def _convert(key: str, value: object) -> object:
    """The value in the type of its setting; text is taken apart where the type is no text. Raises ValueError."""
    hint = get_args(SETTINGS[key].type)[0]
    try:
        if isinstance(value, str) and hint == tuple[str, ...]:
            value = [part.strip() for part in value.split(",")]
            if "" in value:
                raise ValueError(
                    f"{key}: names separated by commas are expected, an empty one found; for the default leave it unset"
                )
        elif isinstance(value, str) and hint == Arguments:
            value = msgspec.json.decode(value)
        return msgspec.convert(value, SETTINGS[key].type, strict=not isinstance(value, str))
    except msgspec.MsgspecError as error:
        shown = "" if key in _SECRETS else f", {value!r} found"
        if hint == Arguments:
            raise ValueError(f"{key}: expected {_EXAMPLE}{shown}") from error
        if get_origin(hint) is Literal:
            raise ValueError(f"{key}: expected {' or '.join(map(repr, get_args(hint)))}{shown}") from error
        raise ValueError(f"{key}: {str(error)[:1].lower()}{str(error)[1:]}{shown}") from error


def _build(said: Mapping[str, object]) -> Settings:
    sections = {
        section: kind(
            **{name: said[f"{section}.{name}"] for name in kind.__struct_fields__ if f"{section}.{name}" in said}
        )
        for section, kind in SECTIONS.items()
    }
    return Settings(**sections)  # type: ignore[arg-type]  # the fields are checked where they are named


def _inconsistencies(settings: Settings) -> Iterator[str]:
    """What no single value is wrong about."""
    if not _is_broker(settings.broker.url):
        yield "broker.url: expected amqp://user:password@host:port/vhost, or amqps://"
    if settings.archive.instance and not naming.is_instance(settings.archive.instance):
        yield f"archive.instance: expected {naming.INSTANCE_RULE}, {settings.archive.instance!r} found"
    if fault := naming.template_fault(settings.archive.name):
        yield f"archive.name: {fault}"
    if settings.roll.bytes and settings.roll.bytes < settings.batch.bytes // 64:
        yield f"roll.bytes: {settings.roll.bytes} is less than one batch may take (batch.bytes = {settings.batch.bytes})"
    broker, watch = settings.broker, settings.watch
    names = [("broker.queue", broker.queue), ("broker.exchange", broker.exchange), ("watch.exchange", watch.exchange)]
    names += [("watch.routing_key", watch.routing_key), *(("broker.binding_keys", key) for key in broker.binding_keys)]
    for name, value in names:
        if fault := _short_string_fault(value):
            yield f"{name}: {value[:20]!r}… {fault}"


def _short_string_fault(value: str) -> str:
    """Why AMQP cannot carry a name; empty if it can. Source: AMQP 0-9-1 section 4.2.5.3."""
    try:
        return "is longer than 255 bytes" if len(value.encode()) > 255 else ""
    except UnicodeEncodeError:
        return "is no UTF-8"


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
    for key, setting in SETTINGS.items():
        masked: Callable[[Any], object] = _MASKS.get(key, lambda value: value)
        value = getattr(getattr(settings, setting.section), setting.name)
        yield key, masked(value), masked(getattr(getattr(defaults, setting.section), setting.name)), setting.description


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
