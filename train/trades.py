"""TRADES: right on the image, and the same answer around it (Zhang et al. 2019)."""

from dataclasses import dataclass

from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional


def divergence(logits: Float[Tensor, "N K"], others: Float[Tensor, "N K"]) -> Float[Tensor, " N"]:
    """KL( softmax(logits) ‖ softmax(others) ) of each sample, in nats."""
    ours, theirs = (functional.log_softmax(x, dim=1) for x in (logits, others))
    return (ours.exp() * (ours - theirs)).sum(1)


@dataclass(frozen=True, kw_only=True)
class Trades:
    """CE(x) + β · mean KL( p(x) ‖ p(x_adv) ), Eq. 5; both passes in training mode.

    Args:
        weight: β, 1/λ in the paper.
    """

    weight: float

    def __call__(
        self,
        network: nn.Module,
        images: Float[Tensor, "N C H W"],
        attacked: Float[Tensor, "N C H W"],
        labels: Int64[Tensor, " N"],
    ) -> Float[Tensor, ""]:
        """The loss; gradients flow through both passes."""
        clean = network(images)
        apart = divergence(clean, network(attacked)).mean()
        return functional.cross_entropy(clean, labels) + self.weight * apart
