"""The book that every attack keeps: which points were shown, and what each did to its sample."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from ..core.errors import DataError
from .lattice import ThreatModel
from .loss import Loss, cross_entropy, input_gradient, is_fooled, is_tied
from .target import Target


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What an attack found for each sample. Every image is lawful under its threat model.

    The points an attack visits are all those it showed to the target, its start included.

    Args:
        images: The visited point of largest loss: what transfer cells evaluate.
        last: The last visited point; of several restarts the first that ended fooled, else the
            last one.
        fooled_any: Whether some visited point was misclassified.
        fooled_last: Whether `last` was.
        broken: The first misclassified point where there is one, else `images`.
        loss: Cross entropy at `images`.
        is_tied: Whether several classes share the largest logit there.
        queries: Forward passes of the batch.
        asked: Forward passes that a sample took part in until a visited point was misclassified,
            all of them where none was. Unlike `queries` it does not depend on the batch, whether
            or not the run stopped early.
        zero_gradients: Share of input gradient entries that were exactly zero, over all gradients
            taken; NaN for an attack that takes none.
    """

    images: Float[Tensor, "N C H W"]
    last: Float[Tensor, "N C H W"]
    fooled_any: Bool[Tensor, " N"]
    fooled_last: Bool[Tensor, " N"]
    broken: Float[Tensor, "N C H W"]
    loss: Float[Tensor, " N"]
    is_tied: Bool[Tensor, " N"]
    queries: int
    asked: Int64[Tensor, " N"]
    zero_gradients: Float[Tensor, " N"]

    @property
    def shown(self) -> Float[Tensor, "N C H W"]:
        """What the attack has to show: its last point where that fooled, else `broken`.

        Some attacks take changes back once they have fooled, so that their last point is nearer.
        """
        return torch.where(_wide(self.fooled_last), self.last, self.broken)


class Trial:
    """One attack on one batch: shows points to the target and keeps the outcome by sample.

    Nothing is computed across samples, so a sample's record depends on that sample alone.

    Args:
        target: The model under attack.
        images: Originals.
        labels: Their classes.
        threat: Which images are lawful.
        keys: Sample identities, named in errors.
        stop_when_all_fooled: Whether `is_over` may become true.
    """

    def __init__(
        self,
        target: Target,
        images: Float[Tensor, "N C H W"],
        labels: Int64[Tensor, " N"],
        *,
        threat: ThreatModel,
        keys: Int64[Tensor, " N"],
        stop_when_all_fooled: bool = False,
    ) -> None:
        self.images = images.detach()
        self.threat = threat
        self.target, self._labels, self._keys = target, labels, keys
        self._stops = stop_when_all_fooled
        self._top = int(labels.max())
        never = torch.zeros_like(labels, dtype=torch.bool)
        self._fooled_any = self._fooled_now = self._fooled_last = self._tied = never
        self._asked = torch.zeros_like(labels)
        self._seen = self._last = self._best = self._broken = self.images
        self._best_loss = torch.full_like(labels, -torch.inf, dtype=images.dtype)
        self._zeros = torch.zeros_like(self._best_loss)
        self._queries = self._gradients = 0

    @property
    def is_over(self) -> bool:
        """Whether every sample has been fooled and the caller wants no more than that."""
        return self._stops and bool(self._fooled_any.all())

    def differentiate(
        self, x: Float[Tensor, "N C H W"], *, loss: Loss = cross_entropy
    ) -> tuple[Float[Tensor, " N"], Float[Tensor, "N C H W"]]:
        """Visits the shadow `x`: a loss by sample, and the gradient of that loss.

        Whatever loss an attack climbs, the record is kept by cross entropy.

        Raises:
            DataError: If logits or gradients are not finite.
        """
        logits, gradient = input_gradient(self._logits, x, self._labels, see=self._see, loss=loss)
        self._require_finite(gradient, "gradients")
        self._zeros = self._zeros + (gradient == 0).flatten(1).to(self._zeros).mean(dim=1)
        self._gradients += 1
        self._record(x, logits)
        return loss(logits, self._labels), gradient

    def judge(
        self, x: Float[Tensor, "N C H W"], *, loss: Loss = cross_entropy
    ) -> Float[Tensor, " N"]:
        """Visits the shadow `x` without a gradient: a loss by sample.

        Raises:
            DataError: If logits are not finite.
        """
        with torch.no_grad():
            logits = self._logits(self._see(x))
            self._record(x, logits)
            return loss(logits, self._labels)

    def is_adversarial(
        self, x: Float[Tensor, "N C H W"], *, asking: Bool[Tensor, " N"] | None = None
    ) -> Bool[Tensor, " N"]:
        """Asks which samples `x` fools. A query that leaves no record: `x` need not be lawful.

        Args:
            x: One image a sample.
            asking: Samples that need the answer, which the others are not charged for.
        """
        with torch.no_grad():
            return is_fooled(self._logits(self.threat.round(x), asking=asking), self._labels)

    def slope(
        self, x: Float[Tensor, "N C H W"], *, loss: Loss
    ) -> tuple[Float[Tensor, " N"], Float[Tensor, "N C H W"]]:
        """Asks for a loss and its gradient within the range. As `is_adversarial`, no record."""
        see, inside = self.threat.round, x.clamp(0.0, self.threat.top)
        logits, gradient = input_gradient(self._logits, inside, self._labels, see=see, loss=loss)
        self._require_finite(gradient, "gradients")
        return loss(logits, self._labels), gradient

    def rank_classes(self) -> Int64[Tensor, "N others"]:
        """Wrong classes of each sample, the likeliest on the original image first."""
        with torch.no_grad():
            logits = self._logits(self._see(self.images))
        is_own = torch.nn.functional.one_hot(self._labels, logits.shape[1]).to(torch.bool)
        # Stable: of equal logits the lowest class comes first, on any machine.
        ranked = logits.masked_fill(is_own, -torch.inf).sort(dim=1, descending=True, stable=True)
        return ranked.indices[:, :-1]

    def end_restart(self) -> None:
        """Makes the point visited last an end point."""
        kept = self._fooled_last
        self._last = torch.where(_wide(kept), self._last, self._seen)
        self._fooled_last = kept | self._fooled_now

    def attempt(self) -> Attempt:
        """The record so far."""
        shares = self._zeros / self._gradients if self._gradients else self._zeros * torch.nan
        return Attempt(
            images=self._best,
            last=self._last,
            fooled_any=self._fooled_any,
            fooled_last=self._fooled_last,
            broken=torch.where(_wide(self._fooled_any), self._broken, self._best),
            loss=self._best_loss,
            is_tied=self._tied,
            queries=self._queries,
            asked=self._asked,
            zero_gradients=shares,
        )

    def _see(self, x: Tensor) -> Tensor:
        return self.threat.see(x, self.images)

    def _record(self, x: Tensor, logits: Tensor) -> None:
        self._seen = self._see(x.detach())
        self._fooled_now = is_fooled(logits, self._labels)
        is_first = self._fooled_now & ~self._fooled_any
        self._broken = torch.where(_wide(is_first), self._seen, self._broken)
        self._fooled_any = self._fooled_any | self._fooled_now
        loss = cross_entropy(logits, self._labels).to(self._best_loss)
        is_better = loss > self._best_loss
        self._best = torch.where(_wide(is_better), self._seen, self._best)
        self._tied = torch.where(is_better, is_tied(logits), self._tied)
        self._best_loss = torch.where(is_better, loss, self._best_loss)

    def _logits(self, x: Tensor, *, asking: Tensor | None = None) -> Tensor:
        self._queries += 1
        self._asked = self._asked + (~self._fooled_any if asking is None else asking)
        logits = self.target(x)
        samples = len(self._labels)
        if logits.ndim != 2 or len(logits) != samples or logits.shape[1] <= self._top:
            raise DataError(
                f"expected logits [{samples}, K] with K > {self._top} of target "
                f"{self.target.name!r}, got {list(logits.shape)}; check its classes and the labels"
            )
        if torch.is_grad_enabled() and not logits.requires_grad:
            raise DataError(
                f"expected differentiable logits of target {self.target.name!r}, got none that "
                "depend on the image; remove detach, no_grad and item from its forward pass"
            )
        self._require_finite(logits.detach(), "logits")
        return logits

    def _require_finite(self, values: Tensor, what: str) -> None:
        is_sound = values.isfinite().flatten(1).all(dim=1)
        if not bool(is_sound.all()):
            first = int(is_sound.logical_not().nonzero()[0, 0])
            odd = values[first].flatten()
            raise DataError(
                f"expected finite {what} of target {self.target.name!r}, got "
                f"{odd[~odd.isfinite()][0].item()} for sample {int(self._keys[first])}; "
                "check its weights and thresholds"
            )


def _wide(mask: Bool[Tensor, " N"]) -> Bool[Tensor, "N 1 1 1"]:
    return mask[:, None, None, None]
