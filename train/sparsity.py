"""Sparse input gradients: the regulariser of SR and SR* (Liu et al. 2024, Algorithm 1)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

FORMS: dict[str, Callable[[Tensor], Tensor]] = {"squared": torch.square, "absolute": torch.abs}
"""What becomes of Δf/h: the published code squares it, the text takes |Δf/h|."""


@dataclass(frozen=True, kw_only=True)
class GradientSparsity:
    """Cross-entropy, plus the slope of the margin along its own gradient's sign.

        f = σ(o_y − o_ỹ),  ỹ = argmax over the other classes at x
        d = sign ∇ₓ f(x),  L = CE(x) + λ · mean φ( (f(x + h·d) − f(x)) / h )

    Eqs. 9 and 12-14; the quotient approximates ‖∇ₓ f‖₁. x + h·d is neither clipped nor rounded;
    d is a constant, and the gradient of L flows through both values of f.

    Args:
        weight: λ.
        step: h, in input units.
        form: A name of `FORMS`, φ.
    """

    weight: float
    step: float = 0.01
    form: str = "squared"

    def loss(
        self, network: nn.Module, x: Float[Tensor, "N C H W"], labels: Int64[Tensor, " N"]
    ) -> Float[Tensor, ""]:
        """L at `x`, in the mode that the network is in."""
        x = x.detach().requires_grad_()
        logits = network(x)
        rivals = strongest_rivals(logits, labels)
        near = margin(logits, labels, rivals)
        (slope,) = torch.autograd.grad(near.sum(), x, retain_graph=True)
        far = margin(network((x + self.step * slope.sign()).detach()), labels, rivals)
        penalty = FORMS[self.form]((far - near) / self.step).mean()
        return functional.cross_entropy(logits, labels) + self.weight * penalty


def strongest_rivals(
    logits: Float[Tensor, "N K"], labels: Int64[Tensor, " N"]
) -> Int64[Tensor, " N"]:
    """ỹ: the class with the highest logit among all but the label."""
    return logits.detach().scatter(1, labels[:, None], -torch.inf).argmax(1)


def margin(
    logits: Float[Tensor, "N K"], labels: Int64[Tensor, " N"], rivals: Int64[Tensor, " N"]
) -> Float[Tensor, " N"]:
    """σ(o_y − o_ỹ), the softmax of the label among two."""
    own, other = (logits.gather(1, index[:, None])[:, 0] for index in (labels, rivals))
    return torch.sigmoid(own - other)
