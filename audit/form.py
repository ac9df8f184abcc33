"""A checker for the few keywords of JSON Schema that audits use.

A report needs no validator installed: `jsonschema` is a tool for developing only.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core.errors import FormatError

KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list, tuple),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "integer": (int,),
    "number": (int, float),
}


def check_value(value: Any, schema: Mapping[str, Any], *, place: str) -> None:
    """Refuses a value that does not have the form of the schema.

    Args:
        value: What JSON holds.
        schema: With the keywords of `KEYWORDS` only; others say nothing here.
        place: Where the value was found, for the message.

    Raises:
        FormatError: At the first difference, naming its place.
    """
    for keyword, test in KEYWORDS.items():
        if keyword in schema:
            test(value, schema, place)


def _check_type(value: Any, schema: Mapping[str, Any], place: str) -> None:
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    is_bool = isinstance(value, bool)
    if not any(isinstance(value, KINDS[k]) and (k == "boolean" or not is_bool) for k in kinds):
        _refuse(place, " or ".join(kinds), value)


def _check_choice(value: Any, schema: Mapping[str, Any], place: str) -> None:
    choices: Sequence[Any] = schema.get("enum", [schema.get("const")])
    if value not in choices:
        _refuse(place, " or ".join(repr(choice) for choice in choices), value)


def _check_limits(value: Any, schema: Mapping[str, Any], place: str) -> None:
    if value is None:
        return
    low, high = schema.get("minimum", -float("inf")), schema.get("maximum", float("inf"))
    if not low <= value <= high:
        _refuse(place, f"a number in {low}..{high}", value)


def _check_properties(value: Any, schema: Mapping[str, Any], place: str) -> None:
    if value is None:
        return
    known: Mapping[str, Any] = schema.get("properties", {})
    missing = [key for key in schema.get("required", ()) if key not in value]
    if missing:
        _refuse(place, f"the key {missing[0]!r}", sorted(value))
    others = schema.get("additionalProperties", True)
    for key, item in value.items():
        if key in known:
            check_value(item, known[key], place=f"{place}.{key}")
        elif others is False:
            _refuse(place, f"only the keys {', '.join(sorted(known))}", key)
        elif others is not True:
            check_value(item, others, place=f"{place}.{key}")


def _check_items(value: Any, schema: Mapping[str, Any], place: str) -> None:
    least = schema.get("minItems", 0)
    if len(value) < least:
        _refuse(place, f"at least {least} entries", value)
    for index, item in enumerate(value):
        check_value(item, schema["items"], place=f"{place}[{index}]")


def _refuse(place: str, wanted: str, value: Any) -> None:
    shown = repr(value)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    raise FormatError(
        f"expected {wanted} at {place}, got {shown}; pass an audit.json of this version"
    )


KEYWORDS: dict[str, Callable[[Any, Mapping[str, Any], str], None]] = {
    "type": _check_type,
    "const": _check_choice,
    "enum": _check_choice,
    "minimum": _check_limits,
    "maximum": _check_limits,
    "properties": _check_properties,
    "additionalProperties": _check_properties,
    "items": _check_items,
    "minItems": _check_items,
}
