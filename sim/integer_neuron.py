"""Integer neurons over time, to the last bit as Lava's; their gradients are next door."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Int32
from torch import Tensor

from .fixed_point import STATE_MAX, step
from .layout import Layout
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
        drive: u after each step; registers in int32, or 64ths of them in float32 (see `Neurons`).
        level: v before its reset, as `drive`. Both are empty where they are not recorded.
        resets: Which steps cleared u and v before they integrated; empty for none.
    """

    spikes: Float[Tensor, "T *axes"]
    drive: Tensor
    level: Tensor
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
        return _register(self.drive.expand(self.level.shape))

    @property
    def h(self) -> Int32[Tensor, "T *axes"]:
        """v before the spike resets it."""
        return _register(self.level)

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
    whole = population.du == DECAY_UNITY and population.dv in (0, DECAY_UNITY)
    return whole and bound < PLAIN_BOUND


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
        kind = torch.float32 if plain else torch.int32
        self.spikes = _empty(like, steps, torch.float32)
        self._level = _empty(like, steps if keeps else 1, kind)
        self._drive = torch.empty_like(self._level) if keeps and not plain else None
        self._u = self._v = torch.zeros_like(self._level[0])
        # Type and layout of a step, once: converted at every step it costs more than the sum.
        shared = bias is None or bias.ndim < self._v.ndim
        room = self._v[:1] if shared else self._v
        self.bias = None if bias is None else torch.zeros_like(room).add_(bias)

    def step(self, t: int, activation: Tensor) -> None:
        """Integrates what arrives at step t (from 0) and writes the spikes of that step."""
        if self.resets and self.resets[t]:
            self._u, self._v = torch.zeros_like(self._u), torch.zeros_like(self._v)
        advance = self._advance_plain if self.plain else self._advance_registers
        advance(t, activation, self._level[t if self.keeps else 0])

    def run(self, activation: Float[Tensor, "t *axes"]) -> Registers:
        """All steps of what arrives, whole numbers, time first.

        A leading axis of length 1 stands for the same activation at every step.
        """
        activation = activation.detach()
        for t in range(self.steps):
            self.step(t, activation[t if len(activation) > 1 else 0])
        return self.registers(activation)

    def registers(self, activation: Float[Tensor, "t *axes"]) -> Registers:
        """What was kept, given all that arrived."""
        drive = activation.to(torch.float32) if self._drive is None else self._drive
        kept = slice(None if self.keeps else 0)
        return Registers(
            spikes=self.spikes, drive=drive[kept], level=self._level[kept], resets=self.resets
        )

    def _advance_plain(self, t: int, activation: Tensor, level: Tensor) -> None:
        """In units of one activation: v ← clip(v + a + bias), spike above vth."""
        if self.population.dv:
            h = level.copy_(activation)
        else:
            h = torch.add(self._v, activation, out=level)
        if self.bias is not None:
            h.add_(self.bias)
        if self.clips:
            h.clamp_(-RAIL / UNIT, RAIL / UNIT)
        # A comparison written as 0.0 and 1.0 is vectorised; masks of booleans cost ten times.
        fired = torch.gt(h, self.population.vth, out=self.spikes[t])
        self._v = torch.addcmul(h, h, fired, value=-1.0)

    def _advance_registers(self, t: int, activation: Tensor, level: Tensor) -> None:
        """Lava's int32 arithmetic, operation by operation."""
        now = activation.to(torch.int64).to(torch.int32)
        du, dv = self.population.du, self.population.dv
        self._u, h = step(self._u, self._v, now, du=du, dv=dv, bias=self.bias)
        if self._drive is not None:
            self._drive[t] = self._u
        level.copy_(h)
        fired = h > self.population.vth << STATE_SHIFT
        self.spikes[t] = fired
        self._v = h.masked_fill(fired, 0)


def _empty(like: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    """Room for a train in the layout of another: convolutions of bytes answer channels last."""
    layout = Layout.of(like)
    rows = torch.empty((steps, layout.shape.numel()), dtype=dtype, device=like.device)
    return layout.train(rows)


def _register(values: Tensor) -> Tensor:
    """64ths back to what the register holds."""
    return (values * UNIT).to(torch.int32) if values.is_floating_point() else values
