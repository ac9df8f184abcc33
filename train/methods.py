"""What a training method consists of: a table, in which a new combination is a line."""

from dataclasses import dataclass

from ..core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Method:
    """Whether it trains on adversarial examples, and whether it makes the input gradient sparse."""

    is_adversarial: bool
    is_sparse: bool


METHODS: dict[str, Method] = {
    "vanilla": Method(is_adversarial=False, is_sparse=False),
    "at": Method(is_adversarial=True, is_sparse=False),
    "sr": Method(is_adversarial=False, is_sparse=True),
    "srstar": Method(is_adversarial=True, is_sparse=True),
}
"""Cross-entropy, adversarial training, sparsity regularisation (SR), and both (SR*)."""

PLANNED = ("rat", "gr", "trades")
"""Methods with a name, and nothing behind it in this version."""


def method(name: str) -> Method:
    """The method called `name`.

    Raises:
        ConfigError: If there is none.
    """
    if name in PLANNED:
        raise ConfigError(
            f"expected a method among {', '.join(METHODS)}, got {name!r}, which is not in this "
            "version; choose one of them"
        )
    try:
        return METHODS[name]
    except KeyError:
        raise ConfigError(
            f"expected a method among {', '.join(METHODS)}, got {name!r}; choose one of them"
        ) from None
