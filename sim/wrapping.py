"""Where Lava's sums overflow, and into what: one rule for each kind of synapse.

    kind              Lava sums in           what wraps
    convolution       float64, cast to i32   the sum, modulo 2²⁴
    dense             int32                  the sum, modulo 2³², before its shift
    delayed dense     int64                  each product, modulo 2³², before the shift

Without a shift, what wraps modulo 2³² does not show: the neuron's register is an int32 as well.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .fixed_point import STATE_MAX, convolved_activation, dense_activation
from .program import INT32, Synapse


@dataclass(frozen=True)
class Wrapping:
    """Overflow of one kind of synapse.

    Args:
        shows: Whether it shows, given the synapse, its greatest |activation| and |product|.
        rule: What becomes of int64 sums, given what entered and the weights in floats.
    """

    shows: Callable[[Synapse, int, int], bool]
    rule: Callable[[Tensor, Tensor, Tensor], Tensor]


def wrapped_products(sums: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Sums of products, each of which wraps in 32 bits."""
    del sums
    whole = x.long()
    products = ((whole * row).to(torch.int32) for row in weight.long())
    return torch.stack([p.sum(1, dtype=torch.int64) for p in products], dim=1)


WRAPPINGS = {
    "convolution": Wrapping(
        lambda synapse, activation, product: activation >= STATE_MAX,
        lambda sums, x, weight: convolved_activation(sums),
    ),
    "dense": Wrapping(
        lambda synapse, activation, product: activation >= INT32 >> synapse.shift,
        lambda sums, x, weight: dense_activation(sums),
    ),
    "delayed dense": Wrapping(
        lambda synapse, activation, product: synapse.shift > 0 and product >= INT32,
        wrapped_products,
    ),
}


def wrapping(synapse: Synapse, *, activation: int, product: int) -> Wrapping | None:
    """The overflow that shows in a synapse; None where none can.

    Args:
        synapse: Whose sums they are.
        activation: Greatest |activation|, after the shift.
        product: Greatest |weight times input|.
    """
    kind = "delayed dense" if synapse.is_delayed else "dense"
    found = WRAPPINGS["convolution" if synapse.is_conv else kind]
    return found if found.shows(synapse, activation, product) else None
