"""Populations whose spikes return to them: computed step by step, forward and backward."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from .gradients.estimators import Estimator
from .integer_gradient import Past, as_given, check_threshold, unroll
from .integer_neuron import Neurons, Registers
from .kernel import Kernel
from .program import Population


@dataclass(frozen=True)
class Link:
    """A kernel from one member of a loop to another, or to itself.

    Args:
        source, target: Names of the populations.
        lateness: Steps between a spike and its arrival, at least 1.
        kernel: What weighs the spikes.
    """

    source: str
    target: str
    lateness: int
    kernel: Kernel


@dataclass(frozen=True)
class Answer:
    """What one population received, did and sent."""

    population: Population
    activation: Tensor
    registers: Registers
    spikes: Tensor


@dataclass(frozen=True, kw_only=True)
class _LoopPast:
    """What the backward pass of a loop has to know of its run."""

    links: Sequence[Link]
    members: Mapping[str, Past]
    estimator: Estimator

    def retreat(self, onto_spikes: Mapping[str, Tensor], total: Mapping[str, Tensor]) -> None:
        """Adds to `total` what reaches the activations through spikes, last step first."""
        back = {name: unroll(past, self.estimator) for name, past in self.members.items()}
        through = {name: torch.empty_like(grad) for name, grad in onto_spikes.items()}
        for t in reversed(range(max(len(grad) for grad in total.values()))):
            for name, step in back.items():
                step(t, onto_spikes[name][t], through[name][t])
                total[name][t] += through[name][t]
            for link in self.links:
                if t >= link.lateness:
                    sent = onto_spikes[link.source][t - link.lateness]
                    sent += link.kernel.adjoint(total[link.target][t], sent.shape)


def run_loop(
    links: Sequence[Link],
    outside: Mapping[str, Tensor],
    neurons: Mapping[str, Neurons],
    *,
    estimator: Estimator | None,
) -> dict[str, Answer]:
    """Runs the members of a loop side by side.

    Args:
        links: The synapses among them.
        outside: Per member, what arrives from elsewhere, `[T, N, *shape]`, or `[1, N, *shape]` for
            the same at every step.
        neurons: Per member, its neurons in zero state; they are advanced.
        estimator: How spikes are differentiated; None gives plain numbers.
    """
    received = _advance(links, {k: x.detach() for k, x in outside.items()}, neurons)
    registers = {name: each.registers(received[name]) for name, each in neurons.items()}
    sent = {name: each.spikes for name, each in registers.items()}
    if estimator is not None:
        for each in neurons.values():
            check_threshold(each.population)
        pasts = {name: Past.of(registers[name], each.population) for name, each in neurons.items()}
        past = _LoopPast(links=links, members=pasts, estimator=estimator)
        found = (*received.values(), *sent.values())
        out: Any = _Loop.apply(past, found, *(outside[name] for name in neurons))
        received, sent = (
            dict(zip(neurons, part, strict=True))
            for part in (out[: len(neurons)], out[len(neurons) :])
        )
    return {
        name: Answer(each.population, received[name], registers[name], sent[name])
        for name, each in neurons.items()
    }


def _advance(
    links: Sequence[Link], outside: Mapping[str, Tensor], neurons: Mapping[str, Neurons]
) -> dict[str, Tensor]:
    """All that each member received, step by step."""
    steps = max(each.steps for each in neurons.values())
    received = {
        # In a format that holds what the loop adds, too.
        name: x.expand(steps, *x.shape[1:]).to(_format(x, name, links), copy=True)
        for name, x in outside.items()
    }
    for t in range(steps):
        for link in links:
            if t >= link.lateness:
                emitted = neurons[link.source].spikes[t - link.lateness]
                received[link.target][t] += link.kernel(emitted)
        for name, each in neurons.items():
            each.step(t, received[name][t])
    return received


def _format(x: Tensor, name: str, links: Sequence[Link]) -> torch.dtype:
    into = (link.kernel.weight.dtype for link in links if link.target == name)
    return reduce(torch.promote_types, into, x.dtype)


class _Loop(torch.autograd.Function):
    """From what arrives from elsewhere to all that arrives, and to spikes."""

    @staticmethod
    def forward(ctx: Any, past: _LoopPast, found: tuple[Tensor, ...], *outside: Tensor) -> Any:
        ctx.past, ctx.given = past, [(x.shape, x.dtype) for x in outside]
        return found

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        names, count = ctx.past.members, len(ctx.given)
        total = {k: g.clone() for k, g in zip(names, grads[:count], strict=True)}
        onto_spikes = {k: g.clone() for k, g in zip(names, grads[count:], strict=True)}
        ctx.past.retreat(onto_spikes, total)
        found = (as_given(g, *given) for g, given in zip(total.values(), ctx.given, strict=True))
        return None, None, *found
