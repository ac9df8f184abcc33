"""Integer neurons over time, to the last bit as Lava's; their gradients are next door."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, Int32
from torch import Tensor

from .fixed_point import STATE_MAX, step
from .layout import Layout
from .per_neuron import on_device
from .program import DECAY_UNITY, STATE_SHIFT, Population

UNIT = 1 << STATE_SHIFT
RAIL = STATE_MAX - 1
PLAIN_BOUND = STATE_MAX // UNIT
"""Below this an activation with its bias neither wraps u nor leaves float32's exact integers."""


@dataclass(frozen=True, kw_only=True)
class Registers:
    """What a population did, time first.

    Args:
        spikes: 0.0 or 1.0.
        stored_u: u after each step: int32 as the register holds it, or float32 in activations,
            each of which is 64 in the register.
        stored_h: v before the spike resets it, as `stored_u`. Both are empty where they are not
            recorded.
        resets: Which steps cleared u and v before they integrated; empty for none.
    """

    spikes: Float[Tensor, "T *axes"]
    stored_u: Tensor
    stored_h: Tensor
    resets: tuple[bool, ...] = ()

    @property
    def windows(self) -> list[slice]:
        """Steps between one reset and the next."""
        steps = len(self.spikes)
        starts = [0, *(t for t, due in enumerate(self.resets) if due and t > 0)]
        return [slice(a, b) for a, b in zip(starts, [*starts[1:], steps], strict=True)]

    @property
    def u(self) -> Int32[Tensor, "T *axes"]:
        """u after the step."""
        return _in_register(self.stored_u.expand(self.stored_h.shape))

    @property
    def h(self) -> Int32[Tensor, "T *axes"]:
        """v before the spike resets it."""
        return _in_register(self.stored_h)

    @property
    def v(self) -> Int32[Tensor, "T *axes"]:
        """v after the step, as Lava's registers show it."""
        return self.h.masked_fill(self.spikes > 0, 0)


def is_plain(population: Population, *, bound: int) -> bool:
    """Whether floats compute this population to the last bit.

    Without a decay that rounds, registers are sums of integers. While |a + bias| stays below
    2¹⁷, u = 64·a cannot wrap and every sum is an integer multiple of 1/64 below 2¹⁸: float32
    holds it exactly.

    Args:
        population: Its decays.
        bound: Greatest |activation| plus greatest |bias|.
    """
    forgets_u = np.all(population.du == DECAY_UNITY)
    integrates = np.all(population.dv == 0) or np.all(population.dv == DECAY_UNITY)
    return bool(forgets_u and integrates) and bound < PLAIN_BOUND


class Neurons:
    """A population from zero state, advanced step by step.

    Args:
        population: Its parameters.
        like: What arrives, `[t, N, *shape]`, for shape, layout and device.
        bias: Bias mantissa, broadcastable to one step.
        steps: T.
        resets: Which steps clear u and v before they integrate; empty for none.
        plain: Whether `is_plain` holds, so that float32 in units of 64 replaces int32.
        clips: Whether v can reach the rails at all.
        keeps: Whether to keep u and v of every step.
    """

    def __init__(
        self,
        population: Population,
        *,
        like: Tensor,
        bias: Int[Tensor, "..."] | None,
        steps: int,
        resets: tuple[bool, ...] = (),
        plain: bool = False,
        clips: bool = True,
        keeps: bool = True,
    ) -> None:
        self.population, self.resets = population, resets
        self.keeps, self.steps, self.plain, self.clips = keeps, steps, plain, clips
        self.du, self.dv, self.vth = (
            on_device(x, like.device) for x in (population.du, population.dv, population.vth)
        )
        kind = torch.float32 if plain else torch.int32
        self.spikes = _empty(like, steps, torch.float32)
        self._h = _empty(like, steps if keeps else 1, kind)
        self._all_u = torch.empty_like(self._h) if keeps and not plain else None
        self._u = self._v = torch.zeros_like(self._h[0])
        # Type and layout of a step, once: converted at every step it costs more than the sum.
        shared = bias is None or bias.ndim < self._v.ndim
        room = self._v[:1] if shared else self._v
        self.bias = None if bias is None else torch.zeros_like(room).add_(bias)

    def step(self, t: int, activation: Tensor) -> None:
        """Integrates what arrives at step t (from 0) and writes the spikes of that step."""
        if self.resets and self.resets[t]:
            self._u, self._v = torch.zeros_like(self._u), torch.zeros_like(self._v)
        advance = self._advance_activations if self.plain else self._advance_registers
        advance(t, activation, self._h[t if self.keeps else 0])

    def run(self, activation: Float[Tensor, "t *axes"]) -> Registers:
        """All steps of what arrives, whole numbers, time first.

        A leading axis of length 1 stands for the same activation at every step.
        """
        activation = activation.detach()
        for t in range(self.steps):
            self.step(t, activation[t if len(activation) > 1 else 0])
        return self.registers(activation)

    def registers(self, activation: Float[Tensor, "t *axes"]) -> Registers:
        """What was kept, given all that arrived: of a plain population that is u."""
        u = activation.to(torch.float32) if self._all_u is None else self._all_u
        kept = slice(None if self.keeps else 0)
        return Registers(
            spikes=self.spikes, stored_u=u[kept], stored_h=self._h[kept], resets=self.resets
        )

    def _advance_activations(self, t: int, activation: Tensor, h: Tensor) -> None:
        """In activations, for u forgets and v does not round: h ← clip(v + a + bias)."""
        if isinstance(self.dv, int) and self.dv == 0:
            torch.add(self._v, activation, out=h)
        else:
            h.copy_(activation)
        if self.bias is not None:
            h.add_(self.bias)
        if self.clips:
            h.clamp_(-RAIL / UNIT, RAIL / UNIT)
        # A comparison written as 0.0 and 1.0 is vectorised; masks of booleans cost ten times.
        fired = torch.gt(h, self.vth, out=self.spikes[t])
        self._v = torch.addcmul(h, h, fired, value=-1.0)

    def _advance_registers(self, t: int, activation: Tensor, h: Tensor) -> None:
        """Lava's int32 arithmetic, operation by operation."""
        now = activation.to(torch.int64).to(torch.int32)
        self._u, level = step(self._u, self._v, now, du=self.du, dv=self.dv, bias=self.bias)
        if self._all_u is not None:
            self._all_u[t] = self._u
        h.copy_(level)
        fired = h > self.vth << STATE_SHIFT
        self.spikes[t] = fired
        self._v = h.masked_fill(fired, 0)


def _empty(like: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    """Room for a train in the layout of another: convolutions of bytes answer channels last."""
    layout = Layout.of(like)
    rows = torch.empty((steps, layout.shape.numel()), dtype=dtype, device=like.device)
    return layout.train(rows)


def _in_register(stored: Tensor) -> Tensor:
    """What the register holds, where activations are stored."""
    return (stored * UNIT).to(torch.int32) if stored.is_floating_point() else stored
