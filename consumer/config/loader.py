"""Load the settings: defaults, then a TOML file, then the environment, then flags. Later sources win.

Invariants: a setting has one name: `[broker] url` = `DEEDBOX_BROKER__URL` = `--set broker.url=...`, and `..._FILE` reads the value
from a file. An unknown name is an error that suggests the nearest name. One message has all faults.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from consumer.config.checks import faults_of
from consumer.config.sections import SECTIONS, SETTINGS, Settings
from consumer.config.values import convert
from consumer.errors import Exit, Fatal
from consumer.ship.steps.variables import VARIABLES
from consumer.visible import without_value

PREFIX = "DEEDBOX_"

# Kubernetes sets these for every Service of the namespace; one called deedbox would stop every Deedbox.
_SERVICE_LINK = re.compile(r"DEEDBOX_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP|SCTP)(_.*)?)?)")

Source = tuple[str, str, object]  # where the value is from, the name of the setting, the value


def load(
    config: Path | None, environ: Mapping[str, str], flags: Mapping[str, object], assignments: list[str]
) -> Settings:
    """The settings of all sources. `flags`: values by setting, None if not given; `assignments`: the texts of `--set`.

    Raises Fatal with all faults in one line.
    """
    faults: list[str] = []
    values: dict[str, object] = {}
    sources = [*_from_file(config, faults), *_from_environment(environ), *_from_flags(flags, assignments, faults)]
    for origin, name, raw in sources:
        try:
            key, value = _resolve(name, raw)
            values[key] = convert(SETTINGS[key], value)
        except ValueError as fault:
            faults.append(f"{origin.removesuffix(f' {name}')}: {fault}")  # the fault names the setting
    settings = _build(values)
    faults += [] if faults else list(faults_of(settings))
    if faults:
        raise Fatal(Exit.SETTINGS, "settings: " + "; ".join(faults), "run `deedbox config` for a list of all settings")
    return settings


def _from_file(config: Path | None, faults: list[str]) -> Iterator[Source]:
    if config is None:
        return
    try:
        document = tomllib.loads(_read_text(config))
    except tomllib.TOMLDecodeError as error:
        faults.append(f"{config}: not a TOML file: {error}")
        return
    except ValueError as fault:
        faults.append(str(fault))
        return
    for section, members in document.items():
        if not isinstance(members, dict):
            yield str(config), section, members
            continue
        for name, value in members.items():
            yield str(config), f"{section}.{name}", value


def _from_environment(environ: Mapping[str, str]) -> Iterator[Source]:
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and variable not in VARIABLES and not _SERVICE_LINK.fullmatch(variable):
            yield variable, variable.removeprefix(PREFIX).lower().replace("__", "."), environ[variable]


def _from_flags(flags: Mapping[str, object], assignments: list[str], faults: list[str]) -> Iterator[Source]:
    for assignment in assignments:
        name, sign, text = assignment.partition("=")
        shown = without_value(name)
        if not sign or shown != name:
            faults.append(f"--set {shown}: expected section.name=value")
            continue
        yield f"--set {name}", name, text
    for name, value in flags.items():
        if value is not None:
            yield "--" + name.rpartition(".")[2].replace("_", "-"), name, value


def _read_text(path: Path) -> str:
    """The content of a file of settings. Raises ValueError, which names the file."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: the file is not UTF-8 text (its byte {error.start} is not valid)") from error
    except ValueError as error:
        raise ValueError(f"{str(path)!r}: this is not the name of a file") from error


def _resolve(name: str, value: object) -> tuple[str, object]:
    """The key of a setting and its value. For a name that ends in `_file`, the value is the content of that file.

    Raises ValueError for an unknown name and for a file that cannot be read.
    """
    if name in SETTINGS:
        return name, value
    key = name.removesuffix("_file")
    if name.endswith("_file") and key in SETTINGS:
        try:
            return key, _read_text(Path(str(value))).rstrip("\r\n")
        except ValueError as fault:
            raise ValueError(f"{name}: {fault}") from fault
    near = difflib.get_close_matches(name, SETTINGS, 1, 0.4)
    raise ValueError(f"unknown setting {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


def _build(values: Mapping[str, object]) -> Settings:
    sections = {
        section: kind(
            **{
                setting.name: values[key]
                for key, setting in SETTINGS.items()
                if setting.section == section and key in values
            }
        )
        for section, kind in SECTIONS.items()
    }
    return Settings(**sections)  # type: ignore[arg-type]  # each section has the type of its field


def environment() -> Mapping[str, str]:
    """The environment. No other module of the service reads it."""
    return os.environ
