"""What attacks ascend, and how success is judged."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from ..core.decision import predictions
from .target import Network

Loss = Callable[[Tensor, Tensor], Tensor]
"""Of logits and labels: a number a sample."""

TINY = 1e-12


def cross_entropy(logits: Float[Tensor, "N K"], labels: Int64[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Cross entropy of each sample, in nats."""
    return F.cross_entropy(logits, labels, reduction="none")


def margin(logits: Float[Tensor, "N K"], labels: Int64[Tensor, " N"]) -> Float[Tensor, " N"]:
    """max_{k≠y} z_k − z_y: above 0 where another class wins. −∞ with a single class."""
    own = logits.gather(1, labels[:, None])[:, 0]
    return _without(logits, labels).amax(dim=1) - own


def dlr(logits: Float[Tensor, "N K"], labels: Int64[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Difference of logits ratio, (max_{k≠y} z_k − z_y) / (z_π1 − z_π3).

    Croce and Hein 2020, Eq. 6; blind to the scale of the logits. With fewer than three classes the
    denominator is z_π1 − z_π2.
    """
    return margin(logits, labels) / _spread(logits, third=2)


def lost_confidence(
    logits: Float[Tensor, "N K"], labels: Int64[Tensor, " N"]
) -> Float[Tensor, " N"]:
    """−f_y = −σ(z_y − max_{k≠y} z_k): what SR keeps flat (Liu et al. 2024, Eq. 9), attacked.

    Its gradient has the signs of the margin's, and vanishes in float32 where z_y leads by 17.
    """
    return -torch.sigmoid(-margin(logits, labels))


CROSS_ENTROPY = "ce"

LOSSES: dict[str, Loss] = {
    CROSS_ENTROPY: cross_entropy,
    "margin": margin,
    "dlr": dlr,
    "f_y": lost_confidence,
}
"""Untargeted losses by name."""


def targeted_dlr(target: Int64[Tensor, " N"]) -> Loss:
    """Towards one class a sample: (z_t − z_y) / (z_π1 − (z_π3 + z_π4)/2).

    Croce and Hein 2020, Eq. 7; with fewer than four classes as `dlr`.
    """

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        wanted, own = (logits.gather(1, k[:, None])[:, 0] for k in (target, labels))
        return (wanted - own) / _spread(logits, third=2, fourth=3)

    return loss


def is_tied(logits: Float[Tensor, "N K"]) -> Bool[Tensor, " N"]:
    """Whether more than one class has the largest logit."""
    return (logits == logits.amax(dim=1, keepdim=True)).sum(dim=1) > 1


def _spread(logits: Tensor, *, third: int, fourth: int | None = None) -> Tensor:
    ranked = logits.sort(dim=1, descending=True).values
    last = ranked.shape[1] - 1
    least = ranked[:, min(third, last)]
    if fourth is not None and fourth <= last:
        least = (least + ranked[:, fourth]) / 2
    return ranked[:, 0] - least + TINY


def _without(logits: Tensor, labels: Tensor) -> Tensor:
    is_own = F.one_hot(labels, logits.shape[1]).to(torch.bool)
    return logits.masked_fill(is_own, -torch.inf)


def is_fooled(logits: Float[Tensor, "N K"], labels: Int64[Tensor, " N"]) -> Bool[Tensor, " N"]:
    """Whether each sample is classified as something else than its label."""
    return predictions(logits) != labels


def input_gradient(
    network: Network,
    x: Float[Tensor, "N C H W"],
    labels: Int64[Tensor, " N"],
    *,
    see: Callable[[Tensor], Tensor],
    loss: Loss = cross_entropy,
) -> tuple[Float[Tensor, "N K"], Float[Tensor, "N C H W"]]:
    """Logits at what the network sees of `x`, and ∂(Σ loss)/∂x.

    The loss is summed over samples, so a sample's gradient does not depend on the batch size.
    Parameters get no gradient, and nothing here waits for the device.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        logits = network(see(x))
        (gradient,) = torch.autograd.grad(loss(logits, labels).sum(), x)
    return logits.detach(), gradient
