"""Can an image within epsilon drive u to wrap, or v to its clips? What is left, in single bits."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ...attacks.objective import Objective
from ...deploy.certify import Certificate, certify
from ...sim.classifier import TwinClassifier
from ...sim.driven import Driven, driven
from ...sim.fixed_point import STATE_MAX
from ...sim.program import Population
from ...sim.twin import Run
from ..samples import Batch
from .asked import Asked

Place = tuple[Population, str]
"""A population and a register of `REGISTERS`."""

RAIL = STATE_MAX
"""u wraps, or v is clipped, where one is as large as this."""


@dataclass(frozen=True, kw_only=True)
class Register:
    """A direction in which a register may overflow: how far it went, and how far it may go."""

    size: Callable[[Driven], Tensor]
    bound: Callable[[Certificate], int]
    is_certified: Callable[[Certificate], bool]


REGISTERS: dict[str, Register] = {
    "u": Register(
        size=lambda found: found.u.abs(),
        bound=lambda proof: max(-proof.u_low, proof.u_high),
        is_certified=lambda proof: proof.u_never_wraps,
    ),
    "v above": Register(
        size=lambda found: found.v,
        bound=lambda proof: proof.v_high,
        is_certified=lambda proof: proof.positive_clip == "absent",
    ),
    "v below": Register(
        size=lambda found: -found.v,
        bound=lambda proof: -proof.v_low,
        is_certified=lambda proof: proof.negative_rail == "absent",
    ),
}
"""u wraps at either end, v is clipped above and below."""


@dataclass(frozen=True, kw_only=True)
class Headroom:
    """How near one register of a population came to where it overflows; sizes in single bits.

    Args:
        population: Its name.
        register: A key of `REGISTERS`.
        clean: Largest on the clean images.
        reached: Largest on any image that was found.
        bound: What the certificate says no image exceeds.
        margin: 2²³ − reached; at 0 and below it wraps or is clipped.
        overflows: Images of the clean samples, each as far as it was driven, where it does so.
        certified: Whether the certificate says that it never does.
        holds: Whether the certificate is true of all that was found.
    """

    population: str
    register: str
    clean: int
    reached: int
    bound: int
    margin: int
    overflows: int
    certified: bool
    holds: bool


def headroom(asked: Asked) -> list[dict[str, Any]]:
    """Every register of every population, relays aside, attacked on its own.

    What is found for one is measured on all.
    """
    program = asked.chip.program
    places = [
        (population, register)
        for population, register in product(program.populations, REGISTERS)
        if not population.is_relay
    ]
    found = [_of_batch(asked, batch, places) for batch in asked.batches()]
    clean, reached = (torch.cat(part, dim=1) for part in zip(*found, strict=True))
    proofs = {proof.population: proof for proof in certify(program, steps=asked.steps)}
    return [
        asdict(_headroom(proofs[population.name], register, clean[k], reached[k]))
        for k, (population, register) in enumerate(places)
    ]


def _of_batch(asked: Asked, batch: Batch, places: Sequence[Place]) -> tuple[Tensor, Tensor]:
    """Sizes on the clean images and the largest that any attack reached, `[places, samples]`."""
    clean = reached = _sizes(asked.chip, batch.images, places)
    for population, register in places:
        end = asked.climb(
            _objective(asked, population, register), batch, name=f"{register} of {population.name}"
        )
        reached = torch.maximum(reached, _sizes(asked.chip, end, places))
    return clean[:, : batch.count], reached[:, : batch.count]


def _objective(asked: Asked, population: Population, register: str) -> Objective:
    """Above 0 where the register overflows."""
    chip = asked.chip.using(asked.estimator)
    return lambda x: _size(chip.run(x, record=True), population, register) / RAIL - 1


def _sizes(chip: TwinClassifier, images: Tensor, places: Sequence[Place]) -> Tensor:
    with torch.no_grad():
        run = chip.run(images, record=True)
        return torch.stack([_size(run, *place) for place in places]).cpu()


def _size(run: Run, population: Population, register: str) -> Float[Tensor, " N"]:
    """The largest of all neurons and steps, in single bits; 0 where it never went that way."""
    size = REGISTERS[register].size(driven(run, population))
    return size.transpose(0, 1).flatten(1).amax(dim=1).clamp(min=0)


def _headroom(proof: Certificate, register: str, clean: Tensor, reached: Tensor) -> Headroom:
    kind, most = REGISTERS[register], int(reached.max())
    bound, certified = kind.bound(proof), kind.is_certified(proof)
    overflows = int((reached >= RAIL).sum())
    return Headroom(
        population=proof.population,
        register=register,
        clean=int(clean.max()),
        reached=most,
        bound=bound,
        margin=RAIL - most,
        overflows=overflows,
        certified=certified,
        holds=most <= bound and not (certified and overflows),
    )
