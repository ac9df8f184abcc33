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


def cross_entropy(logits: Float[Tensor, "N K"], labels: Int64[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Cross entropy of each sample, in nats."""
    return F.cross_entropy(logits, labels, reduction="none")


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
