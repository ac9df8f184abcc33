"""The threat model: a ball inside [0, 1], on the lattice of 8-bit images.

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

from ..core.choice import chosen
from ..core.errors import ConfigError, DataError
from .norms import NORMS, Norm, rounded

LEVELS = 255
LINF, PIXELS = "linf", "l0"
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
        epsilon: Radius in the norm's unit (`norms`), for linf 0 to 1. On the lattice a pixel moves
            by floor(255·epsilon) levels, never more than epsilon.
        norm: A name of `NORMS`.
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
        chosen(NORMS, self.norm, what="a norm")
        self._check_epsilon()
        if self.lattice and self.epsilon > 0 and self.levels == 0:
            raise ConfigError(
                f"expected epsilon 0 or at least 1/255 = 0.0039 on 8-bit images, got "
                f"{self.epsilon}; no pixel could change, raise it"
            )

    def _check_epsilon(self) -> None:
        if self.norm == LINF and not 0 <= self.epsilon <= 1:
            raise ConfigError(
                f"expected epsilon in 0..1, got {self.epsilon}; "
                "give it in input units, 8 levels of 255 as 8/255"
            )
        if not (self.epsilon >= 0 and math.isfinite(self.epsilon)):
            raise ConfigError(
                f"expected a finite epsilon of 0 or more in {self.norm}, got {self.epsilon}; "
                "give it in the norm's unit"
            )
        if self.norm == PIXELS and self.epsilon != round(self.epsilon):
            raise ConfigError(
                f"expected a whole number of pixels as epsilon of l0, got {self.epsilon}; round it"
            )

    @property
    def ball(self) -> Norm:
        """The norm itself."""
        return NORMS[self.norm]

    @property
    def levels(self) -> int:
        """E: epsilon in whole levels of 255; of linf, by how many a pixel may move."""
        # 8/255 computed another way may lie a rounding error below eight levels. Images are
        # float32, so one unit in its last place is not "above epsilon".
        return math.floor(LEVELS * self.epsilon * (1 + FLOAT32_RESOLUTION))

    @property
    def radius(self) -> float:
        """Epsilon in effect: of linf on the lattice E/255, which no pixel exceeds."""
        return self.levels / LEVELS if self.lattice and self.norm == LINF else self.epsilon

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
        """The point of ball and range nearest to the shadow `x`; of l2 one near it.

        Of l0 the shadow itself, which adds up what all steps wanted: there only what the network
        sees has to be in ball and range.
        """
        if self.norm == LINF:  # sums would round differently
            return x.clamp(images - self.radius, images + self.radius).clamp(0.0, self.top)
        if self.ball.is_lazy:
            return x
        return (images + self.held(x - images, images)).clamp(0.0, self.top)

    def held(self, change: Tensor, images: Tensor) -> Tensor:
        """The nearest change that ball and range allow."""
        return self.ball.project(change, -images, self.top - images, self.radius)

    def see(
        self, x: Float[Tensor, "N C H W"], images: Float[Tensor, "N C H W"]
    ) -> Float[Tensor, "N C H W"]:
        """What the network sees of the shadow `x` in the ball around `images`.

        On the lattice its rounding to levels, which is inside the ball as well: `norms.rounded`.
        """
        if self.norm == LINF or not (self.lattice or self.ball.is_lazy):
            return self.round(x)
        seen: Tensor = _Moved.apply(x, images, self)  # type: ignore[assignment]
        return seen

    def round(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        """What the network sees of any point, lawful or not."""
        return snap(x) if self.lattice else x

    def wider(self, level: int, entries: int) -> float:
        """Epsilon of a ball that holds a change of all entries by so many levels of 255.

        Of l0 so many 255ths of all entries, in which at 255 anything may change.
        """
        return self.ball.most(level / LEVELS, entries)

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
    """A random point of each sample's ball, clipped to [0, 1]; of linf a uniform one.

    Of other norms it lies on the way to a random point of the edge, at a uniform share of it.

    Args:
        images: Originals.
        threat: On the lattice of linf, whole levels −E..E are drawn.
        draws: One generator a sample, so that a sample's start is its own.
    """
    shape = tuple(images.shape[1:])
    if threat.norm != LINF:
        offset = np.stack([d.random() * threat.ball.edge(d, shape, threat.radius) for d in draws])
    elif threat.lattice:
        steps = [d.integers(-threat.levels, threat.levels, shape, endpoint=True) for d in draws]
        offset = np.stack(steps) / LEVELS
    else:
        offset = np.stack([d.uniform(-threat.epsilon, threat.epsilon, shape) for d in draws])
    return _lawful(images, offset, threat)


def random_corner(
    images: Float[Tensor, "N C H W"],
    *,
    threat: ThreatModel,
    draws: Sequence[np.random.Generator],
) -> Float[Tensor, "N C H W"]:
    """A random corner of each sample's ball, clipped to [0, 1]; arguments as `uniform_start`.

    Of norms whose balls have no such corners, a random point of the edge.
    """
    shape = tuple(images.shape[1:])
    offset = np.stack([threat.ball.edge(draw, shape, threat.radius) for draw in draws])
    return _lawful(images, offset, threat)


def _lawful(images: Tensor, offset: np.ndarray, threat: ThreatModel) -> Tensor:
    moved = images + torch.from_numpy(offset).to(images)
    return threat.see(threat.project(moved, images), images)


class _Snap(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        del ctx
        return _at_levels((x * LEVELS).round())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        del ctx
        return grads[0]


class _Moved(torch.autograd.Function):
    """Rounding of a change, with the derivative of the identity."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, images: Tensor, threat: ThreatModel) -> Tensor:
        del ctx
        change = x - images
        if threat.ball.is_lazy:
            change = threat.held(change, images)
        if not threat.lattice:
            return images + change
        levels = (images * LEVELS).round()
        # A float32 shadow may lie a rounding error outside; its levels may not.
        radius = LEVELS * threat.epsilon * (1 + FLOAT32_RESOLUTION)
        change = rounded(change * LEVELS, threat.ball, radius)
        return _at_levels((levels + change).clamp(0, threat.top * LEVELS))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        del ctx
        return grads[0], None, None


def _at_levels(levels: Tensor) -> Tensor:
    # CUDA divides by a host number as a product with its reciprocal, one ulp off for some k; by a
    # tensor it divides.
    return levels / torch.full((), LEVELS, dtype=levels.dtype, device=levels.device)
