"""What a training method consists of: a table, in which a new combination is a line."""

from dataclasses import dataclass

from ..core.choice import chosen


@dataclass(frozen=True, kw_only=True)
class Method:
    """The parts of a method.

    Args:
        attack: Whether it trains on adversarial examples.
        penalty: What it flattens, a name of `gradient_penalty.HEIGHTS`; None for nothing.
        is_trades: Whether the attacked answer has to equal the clean one.
        is_orthogonal: Whether weights are pulled towards orthogonal ones after each step.
    """

    attack: bool = False
    penalty: str | None = None
    is_trades: bool = False
    is_orthogonal: bool = False


METHODS: dict[str, Method] = {
    "vanilla": Method(),
    "at": Method(attack=True),
    "rat": Method(attack=True, is_orthogonal=True),
    "gr": Method(penalty="loss"),
    "sr": Method(penalty="margin"),
    "srstar": Method(attack=True, penalty="margin"),
    "trades": Method(attack=True, is_trades=True),
}
"""Cross-entropy, adversarial training, AT with regularised weights, gradient regularisation,
sparsity regularisation (SR), AT and SR together (SR*), and TRADES."""


def method(name: str) -> Method:
    """The method called `name`.

    Raises:
        ConfigError: If there is none.
    """
    return chosen(METHODS, name, what="a method")
