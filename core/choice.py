"""One out of a table, by name."""

from collections.abc import Mapping
from typing import TypeVar

from .errors import ConfigError

T = TypeVar("T")

ADVICE = "choose one of them"


def chosen(table: Mapping[str, T], name: str, *, what: str, advice: str = ADVICE) -> T:
    """The entry called `name`.

    Args:
        table: All there are.
        name: Which one.
        what: What an entry is, with its article: "an attack".
        advice: What to do where there is none.

    Raises:
        ConfigError: If there is none, naming all.
    """
    try:
        return table[name]
    except KeyError:
        known = ", ".join(table)
        raise ConfigError(f"expected {what} among {known}, got {name!r}; {advice}") from None
