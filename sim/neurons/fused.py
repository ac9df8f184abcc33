"""The multi-step neuron in torch's in-place operations: any device, any number, no compiler."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from ..gradients.estimators import Estimator
from ..gradients.through_time import through_time

SHARED_BLOCK = 32768
"""Neurons that torch leaves to one thread of several: to share a block costs more than it saves,
far more on a busy machine."""
LONE_BLOCK = 2 * SHARED_BLOCK
"""Neurons that a CPU's second-level cache holds, with all that their gradient needs, where there is
one thread only: fewer calls for as much work."""


class Fused:
    """One pass over memory an operation, into memory that is there already."""

    def forward(
        self,
        x: Float[Tensor, "T M"],
        *,
        theta: float | Tensor,
        decay: float | Tensor,
        keeps: bool,
    ) -> tuple[Float[Tensor, "T M"], Float[Tensor, "T M"] | None]:
        """As `neuron.Kernel.forward`."""
        spikes = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        history = torch.empty_like(spikes) if keeps else None
        for part in _blocks(x):
            kept = None if history is None else history[:, part]
            values = _of(theta, part), _of(decay, part)
            _advance(x[:, part], *values, spikes=spikes[:, part], history=kept)
        return spikes, history

    def backward(
        self,
        grad: Float[Tensor, "T M"],
        h: Float[Tensor, "T M"],
        *,
        theta: float | Tensor,
        decay: float | Tensor,
        estimator: Estimator,
        overwrites: bool,
    ) -> Float[Tensor, "T M"]:
        """As `neuron.Kernel.backward`."""
        out = h if overwrites else torch.empty_like(h)
        for part in _blocks(h):
            step = estimator.unroll(h[:, part], theta=_of(theta, part), decay=_of(decay, part))
            through_time(step, grad[:, part], out=out[:, part])
        return out


def _advance(
    x: Tensor,
    theta: float | Tensor,
    decay: float | Tensor,
    *,
    spikes: Tensor,
    history: Tensor | None,
) -> None:
    """All steps of a block, into `spikes` and `history`."""
    v = torch.empty_like(spikes[0])
    levels = [v] * len(x) if history is None else history.unbind(0)
    for t, (now, h, fired) in enumerate(zip(x.unbind(0), levels, spikes.unbind(0), strict=True)):
        if t == 0:
            h.copy_(now)
        else:
            v = v if isinstance(decay, float) and decay == 1.0 else v.mul_(decay)
            torch.add(now, v, out=h)
        # A comparison written as 0.0 and 1.0 is vectorised; masks of booleans cost ten times.
        torch.gt(h, theta, out=fired)
        if t + 1 < len(x):
            torch.addcmul(h, h, fired, value=-1.0, out=v)


def _blocks(rows: Tensor) -> Iterator[slice]:
    """Parts of the neurons, each through all steps before the next; on a GPU one of all."""
    count = rows.shape[1]
    if rows.device.type == "cpu":
        size = LONE_BLOCK if torch.get_num_threads() == 1 else SHARED_BLOCK
    else:
        size = max(count, 1)
    return (slice(start, start + size) for start in range(0, count, size))


def _of(value: float | Tensor, part: slice) -> float | Tensor:
    return value[part] if isinstance(value, Tensor) else value
