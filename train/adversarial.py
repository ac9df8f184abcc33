"""Adversarial training: each batch is attacked before it is learnt from."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from ..attacks.lattice import LINF
from ..attacks.loss import Loss, cross_entropy
from ..attacks.pgd import pgd_steps
from ..core.transfer import send
from .target import frozen
from .team import Share
from .trades import divergence

TINY = 1e-3
"""Spread of TRADES' start: at the image itself the divergence has no slope."""


def _uniform(shape: torch.Size, epsilon: float, draws: torch.Generator) -> Tensor:
    return (2.0 * torch.rand(shape, generator=draws) - 1.0) * epsilon


def _nowhere(shape: torch.Size, epsilon: float, draws: torch.Generator) -> Tensor:
    del epsilon, draws
    return torch.zeros(shape)


def _half_signs(shape: torch.Size, epsilon: float, draws: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=draws).sign() * (epsilon / 2)


def _close(shape: torch.Size, epsilon: float, draws: torch.Generator) -> Tensor:
    return (torch.randn(shape, generator=draws) * TINY).clamp(-epsilon, epsilon)


def _in_ball(shape: torch.Size, epsilon: float, draws: torch.Generator) -> Tensor:
    """On the way to a random point of the ℓ2 sphere, at a uniform share of it."""
    way, share = torch.randn(shape, generator=draws), torch.rand(shape[0], generator=draws)
    return way * (epsilon * share / way.flatten(1).norm(dim=1))[:, None, None, None]


Start = Callable[[torch.Size, float, torch.Generator], Tensor]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Where an attack starts, and in which balls it searches.

    Its only step is `single_step` of epsilon; None takes the options.
    """

    start: Start
    single_step: float | None = None
    norm: str = LINF


KINDS: dict[str, Kind] = {
    "pgd": Kind(start=_uniform),
    "pgd-l2": Kind(start=_in_ball, norm="l2"),
    "fgsm": Kind(start=_nowhere, single_step=1.0),
    "rfgsm": Kind(start=_half_signs, single_step=0.5),
    "trades": Kind(start=_close),
}
"""Madry et al. 2018; Goodfellow et al. 2015; Tramèr et al. 2018; Zhang et al. 2019, Algorithm 1."""


@dataclass(frozen=True, kw_only=True)
class TrainingAttack:
    """An attack on the network as it stands: running batch statistics, weights frozen.

    Liu et al. 2024, Table 5: five steps of 0.01 within 2/255; the step is larger than the ball, so
    iterates lie on its corners.

    Args:
        epsilon, step_size: In input units, of `pgd-l2` as √Σδ².
        steps: Gradient steps.
        kind: A name of `KINDS`. `fgsm` and `rfgsm` take one step, whatever `steps` is; `trades`
            climbs the divergence from the clean answer, the others the cross-entropy.
    """

    epsilon: float
    step_size: float
    steps: int
    kind: str = "pgd"

    def __call__(
        self,
        network: nn.Module,
        images: Float[Tensor, "N C H W"],
        labels: Int64[Tensor, " N"],
        *,
        draws: torch.Generator,
        share: Share | None = None,
    ) -> Float[Tensor, "N C H W"]:
        """Last iterates, from a start drawn on the CPU.

        Args:
            network: Attacked in evaluation mode.
            images: In [0, 1].
            labels: Their classes.
            draws: Gives starts to the whole batch, wherever its samples are.
            share: Which samples of a larger batch these are; None where they are all.
        """
        kind = KINDS[self.kind]
        offset = send(self._starts(images.shape, draws, share), images.device).to(images.dtype)
        one = kind.single_step
        with frozen(network):
            return pgd_steps(
                network,
                images,
                labels,
                start=(images + offset).clamp(0.0, 1.0),
                epsilon=self.epsilon,
                step_size=self.step_size if one is None else one * self.epsilon,
                steps=self.steps if one is None else 1,
                norm=kind.norm,
                loss=_away(network, images) if self.kind == "trades" else cross_entropy,
            )

    def _starts(self, shape: torch.Size, draws: torch.Generator, share: Share | None) -> Tensor:
        start = KINDS[self.kind].start
        if share is None:
            return start(shape, self.epsilon, draws)
        return share.of(start(torch.Size((share.count, *shape[1:])), self.epsilon, draws))


@torch.no_grad()
def _away(network: nn.Module, images: Tensor) -> Loss:
    """How far an answer is from that on the clean images."""
    clean = network(images)
    return lambda logits, labels: divergence(clean, logits)
