"""A slow, obvious simulator of any Program on Lava's clock: NumPy int64, one step after the other.

Written from the rules alone. Of `sim` it shares the Program it reads and nothing that computes;
recurrence, delays and several inputs need no special care here, since every step is computed for
all populations from what was emitted before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spikeproof.sim.program import Population, Program, Source, Synapse

REGISTER = 2**23


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What a population did: spikes, u and v after each step, int64 `[T, N, *shape]`."""

    s: np.ndarray
    u: np.ndarray
    v: np.ndarray


def reference(
    program: Program,
    inputs: Mapping[str, np.ndarray],
    *,
    steps: int,
    batch: int,
    interval: int | None = None,
    offset: int = 0,
    biases: Mapping[str, np.ndarray] | None = None,
) -> dict[str, Trace]:
    """Runs a program from zero state; arguments as `Twin.run` and `LavaClock` have them."""
    state = {p.name: (np.zeros((batch, *p.shape), np.int64),) * 2 for p in program.populations}
    traces = {
        p.name: Trace(**{key: np.zeros((steps, batch, *p.shape), np.int64) for key in "suv"})
        for p in program.populations
    }
    trains = {source.name: as_train(source, inputs[source.name]) for source in program.sources}
    trains |= {name: trace.s for name, trace in traces.items()}
    for column in range(steps):
        for p in program.populations:
            trace, (u, v) = traces[p.name], state[p.name]
            if interval and (column + 1) % interval == (offset + 1 + p.phase) % interval:
                u, v = 0 * u, 0 * v
            a = np.zeros_like(u)
            for synapse in program.into(p.name):
                a = a + arriving(synapse, trains[synapse.source], column, p.shape)
            u, h = one_step(u, v, a, p, (biases or {}).get(p.name, p.bias))
            trace.s[column] = fired = h > int32(np.array(p.vth, np.int64, ndmin=1) * 64)
            state[p.name] = trace.u[column], trace.v[column] = u, np.where(fired, 0, h)
    return traces


def as_train(source: Source, x: np.ndarray) -> np.ndarray:
    """What a source emits: payloads, or 1 for whatever is not 0."""
    return x if source.is_graded else (x != 0).astype(np.int64)


def int32(x: np.ndarray) -> np.ndarray:
    """Lava's sums wrap in 32 bits."""
    return (x + 2**31) % 2**32 - 2**31


def decayed(x: np.ndarray, rate: int | np.ndarray) -> np.ndarray:
    """sign(x) · floor(|x| · (4096 − rate) / 4096)."""
    product = x * (4096 - rate)
    return int32(np.sign(product) * (np.abs(product) // 4096))


def corrected(u: np.ndarray) -> np.ndarray:
    """One correction of u, no modulo: +2²³ stays, −2²³ becomes +2²³."""
    return np.where(u > REGISTER, u - 2**24, np.where(u <= -REGISTER, u + 2**24, u))


def one_step(
    u: np.ndarray, v: np.ndarray, a: np.ndarray, p: Population, bias: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """u, and v before the spike resets it."""
    u = corrected(int32(decayed(u, p.du) + int32(int32(a) * 64)))
    driven = decayed(v, p.dv) + u + (0 if bias is None else np.asarray(bias, np.int64) * 64)
    return u, np.clip(int32(driven), 1 - REGISTER, REGISTER - 1)


def arriving(
    synapse: Synapse, train: np.ndarray, column: int, shape: tuple[int, ...]
) -> np.ndarray:
    """Activation at one step: spikes emitted one step, plus the delay, before."""
    delays = np.broadcast_to(np.asarray(synapse.delay), synapse.weight.shape[:2])
    delayed = isinstance(synapse.delay, np.ndarray) or synapse.delay > 0
    total = np.zeros((train.shape[1], *shape), np.int64)
    for delay in np.unique(delays):
        emitted = column - 1 - int(delay)
        if emitted < 0:
            continue
        if synapse.is_conv:
            total += convolved(synapse, train[emitted], shape)
        else:
            weight = np.where(delays == delay, synapse.weight, 0).astype(np.int64)
            products = train[emitted].reshape(train.shape[1], 1, -1) * weight
            # Without delays Lava sums in 32 bits before the shift, with them products of 32 in 64.
            sums = int32(products).sum(2) if delayed else int32(products.sum(2))
            total += sums // 2**synapse.shift
    return total


def convolved(synapse: Synapse, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Cross-correlation of `[N, C, H, W]`, taken modulo 2²⁴ into −2²³..2²³ − 1."""
    (above, left), (down, right), (tall, wide) = synapse.padding, synapse.stride, synapse.dilation
    padded = np.pad(x, ((0, 0), (0, 0), (above, above), (left, left)))
    total = np.zeros((len(x), *shape), np.int64)
    in_group, out_group = synapse.weight.shape[1], shape[0] // synapse.groups
    for o, i, row, column in np.ndindex(*synapse.weight.shape):
        plane = padded[:, o // out_group * in_group + i]
        rows = row * tall + down * np.arange(shape[1])
        columns = column * wide + right * np.arange(shape[2])
        total[:, o] += int(synapse.weight[o, i, row, column]) * plane[:, rows][:, :, columns]
    # On x86 a float64 that int32 does not hold becomes -2³¹, of which the modulo leaves 0.
    return np.where(np.abs(total) < 2**31, (total + REGISTER) % 2**24 - REGISTER, 0)
