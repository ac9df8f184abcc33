"""The threat model: an L∞ ball inside [0, 1], on the lattice of 8-bit images.

Float network and chip are compared on the lattice k/255. Iterative attacks keep a real-valued
shadow; the network sees, and is judged at, its rounding.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..core.errors import ConfigError, DataError

LEVELS = 255
NORMS = ("linf",)
FLOAT32_RESOLUTION = 2.0**-23


@dataclass(frozen=True, kw_only=True)
class Cells:
    """What images are where they are stacks of frames of events, `[N, T·C, H, W]`.

    A cell in which c events were counted is at level min(unit·c, cap).

    Args:
        steps: T.
        unit: Levels of 255 that one event adds.
        cap: Greatest level.

    Raises:
        ConfigError: If a number is out of range.
    """

    steps: int
    unit: int = 1
    cap: int = LEVELS

    def __post_init__(self) -> None:
        if self.steps < 1 or not 1 <= self.unit <= self.cap <= LEVELS:
            raise ConfigError(
                f"expected steps >= 1 and 1 <= unit <= cap <= {LEVELS}, got {self.steps}, "
                f"{self.unit} and {self.cap}; take them from the data's frames"
            )

    @property
    def most(self) -> int:
        """Events from which on a cell counts no more."""
        return -(-self.cap // self.unit)

    def counts(self, images: Float[Tensor, "N channels H W"]) -> Float[Tensor, "N channels H W"]:
        """Events of each cell; of a cell at the cap the fewest that it may stand for."""
        return ((images * LEVELS).round() / self.unit).ceil()

    def images(self, counts: Float[Tensor, "N channels H W"]) -> Float[Tensor, "N channels H W"]:
        """The stack in which so many events were counted."""
        return snap((counts * self.unit).clamp(max=self.cap) / LEVELS)

    def changed(
        self, images: Float[Tensor, "N channels H W"], originals: Float[Tensor, "N channels H W"]
    ) -> Float[Tensor, " N"]:
        """Events added plus events taken away; frame noise changes fractions of events."""
        moved = ((images - originals) * LEVELS).round().abs()
        return moved.flatten(1).sum(1) / self.unit


@dataclass(frozen=True, kw_only=True)
class ThreatModel:
    """Which images an attack may show: within `epsilon` of the original, inside [0, 1].

    Args:
        epsilon: Radius in input units, 0 to 1. On the lattice it is floor(255·epsilon) levels,
            never more than epsilon.
        norm: "linf".
        lattice: Whether only images k/255 are lawful.
        cells: What images are where they are frames of events; None where they are pictures.

    Raises:
        ConfigError: If epsilon is out of range, or so small that no 8-bit pixel could change.
    """

    epsilon: float
    norm: str = "linf"
    lattice: bool = True
    cells: Cells | None = None

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            known = ", ".join(NORMS)
            raise ConfigError(
                f"expected a norm among {known}, got {self.norm!r}; choose one of them"
            )
        if not 0 <= self.epsilon <= 1:
            raise ConfigError(
                f"expected epsilon in 0..1, got {self.epsilon}; "
                "give it in input units, 8 levels of 255 as 8/255"
            )
        if self.lattice and self.epsilon > 0 and self.levels == 0:
            raise ConfigError(
                f"expected epsilon 0 or at least 1/255 = 0.0039 on 8-bit images, got "
                f"{self.epsilon}; no pixel could change, raise it"
            )

    @property
    def levels(self) -> int:
        """E: by how many levels of 255 a pixel may move."""
        # 8/255 computed another way may lie a rounding error below eight levels. Images are
        # float32, so one unit in its last place is not "above epsilon".
        return math.floor(LEVELS * self.epsilon * (1 + FLOAT32_RESOLUTION))

    @property
    def radius(self) -> float:
        """How far a pixel may move, in input units: E/255 on the lattice, else epsilon."""
        return self.levels / LEVELS if self.lattice else self.epsilon

    @property
    def top(self) -> float:
        """Greatest value of a pixel: 1, or the cap of frames of events."""
        return 1.0 if self.cells is None else self.cells.cap / LEVELS

    def require_cells(self) -> Cells:
        """What frames hold.

        Raises:
            ConfigError: If images are pictures.
        """
        if self.cells is None:
            raise ConfigError(
                "expected frames of events, got images; attacks on events need recordings"
            )
        return self.cells

    def project(
        self, x: Float[Tensor, "N C H W"], images: Float[Tensor, "N C H W"]
    ) -> Float[Tensor, "N C H W"]:
        """The point of the ball around `images`, inside the range, nearest to the shadow `x`."""
        return x.clamp(images - self.radius, images + self.radius).clamp(0.0, self.top)

    def see(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        """What the network sees of the shadow `x`."""
        return snap(x) if self.lattice else x

    def check(self, images: Float[Tensor, "N C H W"]) -> None:
        """Refuses originals that are themselves unlawful.

        Raises:
            DataError: If an image leaves [0, 1], the cap or the lattice, or is no stack of frames.
        """
        if not bool(((images >= 0) & (images <= 1)).all()):
            low, high = images.min().item(), images.max().item()
            raise DataError(f"expected images in 0..1, got {low}..{high}; divide bytes by 255")
        if self.cells is not None:
            self._check_frames(images, self.cells)
        if self.lattice and not torch.equal(snap(images), images):
            raise DataError(
                "expected images on the lattice k/255, got values between its levels; "
                "pass them through snap, or attack without the lattice"
            )

    def _check_frames(self, images: Tensor, cells: Cells) -> None:
        highest = round(images.max().item() * LEVELS)
        if images.shape[1] % cells.steps or highest > cells.cap:
            raise DataError(
                f"expected stacks of {cells.steps} frames of at most {cells.cap} levels, got "
                f"{images.shape[1]} channels and {highest}; pass frames as the network takes them"
            )


def snap(x: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """Rounds to the lattice k/255, with the derivative of the identity.

    Values are exactly k divided by 255 in the dtype of `x`, so they equal images that were read
    from bytes.
    """
    snapped: Tensor = _Snap.apply(x)  # type: ignore[assignment]
    return snapped


def uniform_start(
    images: Float[Tensor, "N C H W"],
    *,
    threat: ThreatModel,
    draws: Sequence[np.random.Generator],
) -> Float[Tensor, "N C H W"]:
    """A uniform random point of each sample's ball, clipped to [0, 1].

    Args:
        images: Originals.
        threat: On its lattice, whole levels −E..E are drawn.
        draws: One generator a sample, so that a sample's start is its own.
    """
    shape = tuple(images.shape[1:])
    if threat.lattice:
        steps = [d.integers(-threat.levels, threat.levels, shape, endpoint=True) for d in draws]
        offset = np.stack(steps) / LEVELS
    else:
        offset = np.stack([d.uniform(-threat.epsilon, threat.epsilon, shape) for d in draws])
    return threat.see(threat.project(images + torch.from_numpy(offset).to(images), images))


def random_corner(
    images: Float[Tensor, "N C H W"],
    *,
    threat: ThreatModel,
    draws: Sequence[np.random.Generator],
) -> Float[Tensor, "N C H W"]:
    """A random corner of each sample's ball, clipped to [0, 1]; arguments as `uniform_start`."""
    shape = tuple(images.shape[1:])
    signs = np.stack([2.0 * draw.integers(0, 2, shape) - 1.0 for draw in draws])
    offset = threat.radius * torch.from_numpy(signs).to(images)
    return threat.see(threat.project(images + offset, images))


class _Snap(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        del ctx
        # CUDA divides by a host number as a product with its reciprocal, one ulp off for some k;
        # by a tensor it divides.
        return (x * LEVELS).round() / torch.full((), LEVELS, dtype=x.dtype, device=x.device)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        del ctx
        return grads[0]
