"""Text and file values turned into the fields of a dataclass, by the fields' types."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from fractions import Fraction
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from ..core.errors import ConfigError


def field_types(kind: type) -> dict[str, Any]:
    """Name and type of each field of a dataclass."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def convert_fields(values: Mapping[str, Any], types: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a TOML or JSON file, or of `key=value` words, as the fields' types.

    Numbers may be written as a fraction (`8/255`), tuples as a list or as `16,32`.

    Raises:
        ConfigError: If a key is unknown, or a value cannot be read as its type.
    """
    unknown = sorted(set(values) - set(types))
    if unknown:
        raise ConfigError(
            f"expected keys among {', '.join(sorted(types))}, got {', '.join(unknown)}; "
            "correct or remove them"
        )
    return {key: _convert(key, value, types[key]) for key, value in values.items()}


def _convert(key: str, value: Any, kind: Any) -> Any:
    try:
        return _read(value, kind)
    except (ValueError, TypeError, KeyError, ZeroDivisionError):
        raise ConfigError(
            f"expected {key} to be {_words(kind)}, got {value!r}; correct it"
        ) from None


def _read(value: Any, kind: Any) -> Any:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is tuple:
        return _read_tuple(value, parts)
    if origin is UnionType:
        if value is None:
            return None
        (only,) = (part for part in parts if part is not NoneType)
        return _read(value, only)
    return READERS[kind](value)


def _read_tuple(value: Any, parts: tuple[Any, ...]) -> tuple[Any, ...]:
    if isinstance(value, str):
        value = [word for word in value.strip("[]() ").split(",") if word.strip()]
    if not isinstance(value, list | tuple):
        raise TypeError(value)
    if parts[-1] is not ... and len(parts) != len(value):
        raise ValueError(value)
    return tuple(_read(item, parts[0]) for item in value)


def _read_int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(value)
    return int(value)


def _read_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(value)
    return float(Fraction(value)) if isinstance(value, str) and "/" in value else float(value)


def _read_bool(value: Any) -> bool:
    return value if isinstance(value, bool) else {"true": True, "false": False}[_text(value)]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


READERS: dict[type, Callable[[Any], Any]] = {
    int: _read_int,
    float: _read_float,
    bool: _read_bool,
    str: _text,
}


def _words(kind: Any) -> str:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is tuple:
        count = "" if parts[-1] is ... else f"{len(parts)} "
        return f"a list of {count}{parts[0].__name__}"
    if origin is UnionType:
        return _words(next(part for part in parts if part is not NoneType))
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[kind]
