"""A small network on real digits with sound gradients, and ways to hide them; forward unchanged."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

STEPS = 150


def trained(images: Tensor, labels: Tensor, *, seed: int) -> nn.Module:
    """A network of two dense layers, fitted in a second to images `[N, 1, 8, 8]` in 0..1."""
    generator = torch.Generator().manual_seed(seed)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 48), nn.Softplus(), nn.Linear(48, 10))
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) / 8
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(STEPS):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
    return network.eval().requires_grad_(False)


class _Flipped(torch.autograd.Function):
    """The identity; its gradient has the right sign in six of ten pixels, others at each point."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        flat = x.flatten(1).double()
        place = torch.arange(flat.shape[1], dtype=torch.float64)
        mixed = (flat.sum(1, keepdim=True) + flat) * 12.9898 + place * 78.233
        is_wrong = (mixed.sin() * 43758.5453).frac().abs().view_as(x) < 0.4
        return torch.where(is_wrong, -grads[0], grads[0])


def _flipped(x: Tensor) -> Tensor:
    found: Tensor = _Flipped.apply(x)  # type: ignore[assignment]
    return found


def _shattered(x: Tensor) -> Tensor:
    """Wrinkles of half a level, four times as steep as the image, out of step from pixel to pixel.

    Grey levels of digits are 16 apart, and this frequency meets them at ever other phases.
    """
    place = torch.arange(x[0].numel(), dtype=x.dtype).view_as(x[0])
    return x + 0.002 * (2041 * x + 2 * place).sin()


MASKS: dict[str, Callable[[Tensor], Tensor]] = {
    "sound": lambda x: x,
    "flipped": _flipped,
    "shattered": _shattered,
    "cut": lambda x: x.detach() + 0 * x,
    "saturated": lambda x: x,
}


@dataclass(frozen=True)
class Planted:
    """A network behind a mask; `saturated` multiplies logits until cross entropy is exactly 0."""

    network: nn.Module
    mask: str
    name: str = "planted"
    estimators: tuple[str, ...] = ("exact",)

    def __call__(self, x: Tensor) -> Tensor:
        logits = self.network(MASKS[self.mask](x))
        return logits * 1e4 if self.mask == "saturated" else logits

    def using(self, estimator: str) -> "Planted":
        assert estimator in self.estimators
        return self
