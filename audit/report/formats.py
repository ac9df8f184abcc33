"""What an audit can be written as, besides its JSON: one table."""

from collections.abc import Callable, Mapping
from typing import Any

from .plain import comma_separated, markdown
from .render import render

FORMATS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "html": render,
    "markdown": markdown,
    "csv": comma_separated,
}
"""By the name of `--format`."""
