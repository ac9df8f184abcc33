"""The gradient that sparsity regularisation flattens, and its norms (Liu et al. 2024, Eq. 9)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ..attacks.loss import input_gradient
from ..attacks.target import Network
from ..train.gradient_penalty import margin, strongest_rivals

Height = Callable[[Tensor], Tensor]
"""Images `[N, C, H, W]` to a number a sample `[N]`: f_y, or a test's own function."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Norms:
    """‖∇ₓ f_y‖₁, ‖∇ₓ f_y‖₂ and ‖∇ₓ f_y‖₀ of each sample; ‖·‖₀ counts what is not exactly 0."""

    l1: Float[Tensor, " N"]
    l2: Float[Tensor, " N"]
    l0: Int64[Tensor, " N"]


def label_probability(
    network: Network, images: Float[Tensor, "N C H W"], labels: Int64[Tensor, " N"]
) -> Height:
    """f_y = σ(o_y − o_ỹ) with the rival ỹ chosen at `images` and kept elsewhere.

    Args:
        network: Images to logits.
        images: Where the rivals are chosen.
        labels: Their classes y.
    """
    with torch.no_grad():
        rivals = strongest_rivals(network(images), labels)
    return lambda x: margin(network(x), labels, rivals)


def label_gradient(
    network: Network, images: Float[Tensor, "N C H W"], labels: Int64[Tensor, " N"]
) -> Float[Tensor, "N C H W"]:
    """∇ₓ f_y(x), with the spike derivative that the network has been given."""
    _, gradient = input_gradient(network, images, labels, see=_as_it_is, loss=_probability)
    return gradient


def norms(gradient: Float[Tensor, "N *axes"]) -> Norms:
    """The three norms of each sample's gradient, summed in float64."""
    flat = gradient.flatten(1).double()
    return Norms(
        l1=flat.abs().sum(1).float(),
        l2=flat.square().sum(1).sqrt().float(),
        l0=(flat != 0).sum(1),
    )


def _probability(logits: Tensor, labels: Tensor) -> Tensor:
    return margin(logits, labels, strongest_rivals(logits, labels))


def _as_it_is(x: Tensor) -> Tensor:
    return x
