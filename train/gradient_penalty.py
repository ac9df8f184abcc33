"""Small input gradients: the regularisers SR, SR* and GR (Liu et al. 2024, Algorithm 1, Eq. 15)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

Height = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Of logits, labels and rivals: a number a sample, whose slope is penalised."""

FORMS: dict[str, Callable[[Tensor], Tensor]] = {"squared": torch.square, "absolute": torch.abs}
"""What becomes of Δf/h: the published code squares it, the text takes |Δf/h|."""


def strongest_rivals(
    logits: Float[Tensor, "N K"], labels: Int64[Tensor, " N"]
) -> Int64[Tensor, " N"]:
    """ỹ: the class with the highest logit among all but the label."""
    return logits.detach().scatter(1, labels[:, None], -torch.inf).argmax(1)


def margin(
    logits: Float[Tensor, "N K"], labels: Int64[Tensor, " N"], rivals: Int64[Tensor, " N"]
) -> Float[Tensor, " N"]:
    """σ(o_y − o_ỹ), the softmax of the label among two (Eq. 9)."""
    own, other = (logits.gather(1, index[:, None])[:, 0] for index in (labels, rivals))
    return torch.sigmoid(own - other)


def loss(
    logits: Float[Tensor, "N K"], labels: Int64[Tensor, " N"], rivals: Int64[Tensor, " N"]
) -> Float[Tensor, " N"]:
    """Cross-entropy (Eq. 15)."""
    del rivals
    return functional.cross_entropy(logits, labels, reduction="none")


HEIGHTS: dict[str, Height] = {"margin": margin, "loss": loss}
"""f: SR and SR* flatten the margin, GR the loss."""


@dataclass(frozen=True, kw_only=True)
class GradientPenalty:
    """Cross-entropy, plus the slope of f along its own gradient's sign.

        d = sign ∇ₓ f(x),  L = CE(x) + λ · mean φ( (f(x + h·d) − f(x)) / h )

    Eqs. 9, 12-14 and 15; the quotient approximates ‖∇ₓ f‖₁. x + h·d is neither clipped nor rounded;
    d is a constant, the rival class is chosen at x, and the gradient of L flows through both values
    of f.

    Args:
        weight: λ.
        height: A name of `HEIGHTS`, f.
        step: h, in input units.
        form: A name of `FORMS`, φ.
    """

    weight: float
    height: str = "margin"
    step: float = 0.01
    form: str = "squared"

    def __call__(
        self,
        network: nn.Module,
        images: Float[Tensor, "N C H W"],
        attacked: Float[Tensor, "N C H W"],
        labels: Int64[Tensor, " N"],
    ) -> Float[Tensor, ""]:
        """L at the attacked images, in the mode that the network is in."""
        del images
        f = HEIGHTS[self.height]
        x = attacked.detach().requires_grad_()
        logits = network(x)
        rivals = strongest_rivals(logits, labels)
        near = f(logits, labels, rivals)
        (slope,) = torch.autograd.grad(near.sum(), x, retain_graph=True)
        far = f(network((x + self.step * slope.sign()).detach()), labels, rivals)
        penalty = FORMS[self.form]((far - near) / self.step).mean()
        return functional.cross_entropy(logits, labels) + self.weight * penalty
