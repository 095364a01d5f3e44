"""One value of a setting: from text or TOML to its type."""

import re
from enum import StrEnum
from fractions import Fraction
from typing import Any, Literal, get_args, get_origin

import msgspec

from consumer.config.quantities import parse_quantity
from consumer.config.sections import Setting
from consumer.section import Arguments

SECRETS = {
    "broker.password",
    "broker.url",
    "objects.secret_key",
    "replay.password",
    "replay.url",
}  # never shown in an error

_POWER = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)[eE]\+?(\d|1[0-8])", re.ASCII)  # 1e3, 1.5e6
_ARGUMENTS_EXAMPLE = """a JSON object such as {"x-delivery-limit": 20}, or a table in the file of --config"""
_TYPE_NAMES = {
    "`int`": "a whole number",
    "`float`": "a number",
    "`bool`": "true or false",
    "`str`": "text",
    "`array`": "a list of texts",
}


def convert(setting: Setting, value: object) -> object:
    """The value in the type of its setting. Text is accepted for every type.

    Raises ValueError, which names the setting, the expected value and the value that was found.
    """
    try:
        parsed = _parse(setting, value) if isinstance(value, str) else value
        return msgspec.convert(parsed, setting.type, strict=not isinstance(parsed, str))
    except (msgspec.MsgspecError, ValueError) as error:
        found = "" if setting.key in SECRETS else f", found {value!r}"
        raise ValueError(f"{setting.key}: {_expectation(setting, error)}{found}") from error


def _parse(setting: Setting, text: str) -> object:
    """Parse a text if its setting is a quantity, a list or a table. Raises ValueError and MsgspecError."""
    kind = get_args(setting.type)[0]
    if kind == tuple[str, ...]:
        names = [part.strip() for part in text.split(",")]
        if "" in names:
            raise ValueError("expected names separated by commas, without an empty one; leave it out for the default")
        return names
    if kind == Arguments:
        return msgspec.json.decode(text)
    if kind not in (int, float):
        return text
    if setting.unit is not None and not _is_number(text):
        return parse_quantity(text, setting.unit)
    return _whole(text.strip()) if kind is int else text.strip()


def _whole(text: str) -> str:
    """A whole number such as `1e18` in digits, because the conversion reads only small ones. Any other text is unchanged."""
    match = _POWER.fullmatch(text)
    number = Fraction(match[1]) * 10 ** int(match[2]) if match else Fraction(1, 2)
    return str(number) if number.denominator == 1 else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _choices(kind: Any) -> list[str]:  # noqa: ANN401 -- a type is any object
    """The texts that a setting accepts, if it accepts only some."""
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    return list(kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else []


def _expectation(setting: Setting, error: Exception) -> str:
    """The accepted values of the setting, in plain words."""
    kind = get_args(setting.type)[0]
    if kind == Arguments:
        return f"expected {_ARGUMENTS_EXAMPLE}"
    if choices := _choices(kind):
        return f"expected {' or '.join(repr(str(choice)) for choice in choices)}"
    text = re.sub(r", got `\w+`|(, got `\w+`)? - at `.*`$", "", str(error))
    for name, words in _TYPE_NAMES.items():
        text = text.replace(name, words)
    return text[:1].lower() + text[1:]
