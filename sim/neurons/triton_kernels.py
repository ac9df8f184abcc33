"""Triton's programs of the multi-step neuron; imported only where Triton is used.

A program takes BLOCK neurons through all steps with the membrane in registers, so each tensor
passes through memory once.
"""

import inspect
from collections.abc import Callable
from typing import Any

import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]

# ruff: noqa: ANN201, ANN202  a program returns nothing, and Triton refuses to be told so


def _jit(function: Callable[..., Any]) -> Any:
    # The tests' checker wraps annotated functions; Triton needs the source and the globals of the
    # function itself.
    return triton.jit(inspect.unwrap(function))


@_jit
def forward(
    x: tl.tensor,
    spikes: tl.tensor,
    history: tl.tensor,
    size: tl.tensor,
    stride: tl.tensor,
    THETA: tl.constexpr,
    DECAY: tl.constexpr,
    STEPS: tl.constexpr,
    KEEPS: tl.constexpr,
    WIDE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Spikes and membranes of x, whose steps lie `stride` apart; every operation is rounded.

    h ← round(round(λ·v) + x), in the type of x, so that spikes equal those of `neuron_fused`.
    """
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < size
    kind = x.dtype.element_ty
    theta = tl.full((BLOCK,), THETA, kind)
    v = tl.zeros((BLOCK,), kind)
    for _ in range(STEPS):
        now = tl.load(x + at, mask=inside, other=0.0)
        if DECAY != 1.0:
            v = (v.to(WIDE) * DECAY).to(kind)
        h = (v.to(WIDE) + now.to(WIDE)).to(kind)
        fired = h > theta
        v = tl.where(fired, tl.zeros_like(h), h)
        tl.store(spikes + at, tl.where(fired, 1.0, 0.0).to(kind), mask=inside)
        if KEEPS:
            tl.store(history + at, h, mask=inside)
        x += stride
        spikes += size
        history += size


@_jit
def backward(
    grad: tl.tensor,
    history: tl.tensor,
    out: tl.tensor,
    size: tl.tensor,
    stride: tl.tensor,
    THETA: tl.constexpr,
    DECAY: tl.constexpr,
    SHAPE: tl.constexpr,
    WIDTH: tl.constexpr,
    ATTACHED: tl.constexpr,
    STEPS: tl.constexpr,
    WIDE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """`surrogate.StepByStep.backward` in WIDE; tensors begin at their last step.

    The steps of grad lie `stride` apart, those of the others `size`.
    """
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < size
    kind = history.dtype.element_ty
    theta = tl.full((BLOCK,), THETA, kind)
    carried = tl.zeros((BLOCK,), WIDE)
    for _ in range(STEPS):
        rounded = tl.load(history + at, mask=inside, other=0.0)
        g = tl.load(grad + at, mask=inside, other=0.0).to(WIDE)
        h = rounded.to(WIDE)
        slope = _slope(h / THETA - 1.0, SHAPE, WIDTH) / THETA
        kept = tl.where(rounded > theta, 0.0, 1.0).to(WIDE)
        if ATTACHED:
            kept = kept - h * slope
        a = carried * kept + g * slope
        carried = a * DECAY
        tl.store(out + at, a.to(kind), mask=inside)
        grad -= stride
        history -= size
        out -= size


@_jit
def _slope(z: tl.tensor, SHAPE: tl.constexpr, WIDTH: tl.constexpr):
    if SHAPE == "triangle":
        return tl.maximum(WIDTH - tl.abs(z), 0.0) / (WIDTH * WIDTH)
    elif SHAPE == "sigmoid":  # noqa: RET505  Triton wants one return a branch
        rate = 1.0 / (1.0 + tl.exp(-WIDTH * z))
        return WIDTH * rate * (1.0 - rate)
    else:
        angle = (3.141592653589793 * WIDTH / 2) * z
        return (WIDTH / 2) / (1.0 + angle * angle)
