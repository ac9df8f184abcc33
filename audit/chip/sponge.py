"""Images within epsilon that cost the chip more work: sponges (Shumailov et al. 2021)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ...attacks.loss import margin
from ...attacks.objective import Objective
from ...core.decision import predictions
from ...deploy.chip_file import chip_named
from ...deploy.cost import costs
from ...deploy.placement import place
from ...sim.classifier import TwinClassifier
from ...sim.program import Program
from ...sim.telemetry import fan_out
from ...sim.twin import Run
from ..samples import Batch
from ..statistics import mean_of
from .asked import Asked

PRICED = "loihi1"
"""The chip whose times of an operation are published."""

SPONGES = ("free", "same_answer")
"""Those that may change the answer, and those that may not."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Work:
    """What images cost: synaptic operations and spikes of each, and the answer.

    Args:
        synops: Messages times the weights other than 0 that each meets.
        spikes: Of all populations.
        answers: Predicted classes.
        sent: By source and population, messages of each neuron over all steps.
    """

    synops: Float[np.ndarray, " N"]
    spikes: Float[np.ndarray, " N"]
    answers: np.ndarray
    sent: dict[str, Float[np.ndarray, "N *shape"]]


def sponge(asked: Asked, *, confidence: float) -> dict[str, Any]:
    """How many times as much work an image within epsilon makes as the clean one."""
    found = [_of_batch(asked, batch) for batch in asked.batches()]
    clean, *sponges = (_joined(parts) for parts in zip(*found, strict=True))
    program = asked.chip.program
    ratios = [_times(work.synops, clean.synops) for work in sponges]
    return {
        "synops": float(clean.synops.mean()),
        "spikes": float(clean.spikes.mean()),
        "latency_seconds": _latency(program, clean, asked.steps),
        **{
            name: {
                "synops_ratio": asdict(mean_of(ratio, confidence=confidence)),
                "largest_ratio": float(ratio.max()),
                "spikes": float(work.spikes.mean()),
                "changed": float((work.answers != clean.answers).mean()),
                "latency_seconds": _latency(program, work, asked.steps),
            }
            for name, work, ratio in zip(SPONGES, sponges, ratios, strict=True)
        },
    }


def _times(
    synops: Float[np.ndarray, " N"], of_clean: Float[np.ndarray, " N"]
) -> Float[np.ndarray, " N"]:
    """How many times as much; no operation counts as one, as a black image may need none."""
    return np.maximum(synops, 1.0) / np.maximum(of_clean, 1.0)


def _of_batch(asked: Asked, batch: Batch) -> tuple[Work, ...]:
    """Work of the clean images, of free sponges, and of those that keep the answer."""
    chip, clean = asked.chip.using(asked.estimator), work(asked.chip, batch.images)
    free, same = (
        asked.climb(objective, batch, name=f"sponge, {name}")
        for name, objective in zip(SPONGES, _objectives(chip, clean), strict=True)
    )
    found, kept = work(asked.chip, free), work(asked.chip, same)
    is_same = kept.answers == clean.answers
    # Where nothing was found, the clean image is the sponge.
    free = _where(found.synops >= clean.synops, free, batch)
    same = _where(is_same & (kept.synops >= clean.synops), same, batch)
    return tuple(
        _cut(each, batch.count) for each in (clean, work(asked.chip, free), work(asked.chip, same))
    )


def _where(chosen: np.ndarray, found: Tensor, batch: Batch) -> Tensor:
    mask = torch.from_numpy(chosen).to(found.device)
    return torch.where(mask[:, None, None, None], found, batch.images)


def _objectives(chip: TwinClassifier, clean: Work) -> tuple[Objective, Objective]:
    """Growth of the work over the clean image's; without its answer, the way back to it."""
    answers, reach = torch.from_numpy(clean.answers), reached(chip.program)
    least = torch.from_numpy(np.maximum(clean.synops, 1.0))

    def growth(run: Run, x: Tensor) -> Tensor:
        return synops(sent(chip, run, x), reach) / least.to(x.device) - 1

    def free(x: Tensor) -> Tensor:
        return growth(chip.run(x), x)

    def same(x: Tensor) -> Tensor:
        run = chip.run(x)
        assert run.reading is not None
        logits = run.reading * chip.readout.scale
        lost = margin(logits, answers.to(x.device))
        is_kept = predictions(logits.detach()) == answers.to(x.device)
        # Work is never less than none, so that what keeps the answer is above -1.
        return torch.where(is_kept, growth(run, x), -1 - lost)

    return free, same


def work(chip: TwinClassifier, images: Tensor) -> Work:
    """What images cost."""
    with torch.no_grad():
        run = chip.run(images)
        assert run.reading is not None
        messages = sent(chip, run, images)
    spikes = torch.stack([messages[p.name].flatten(1).sum(1) for p in chip.program.populations])
    return Work(
        synops=synops(messages, reached(chip.program)).cpu().numpy(),
        spikes=spikes.sum(0).cpu().numpy(),
        answers=predictions(run.reading).cpu().numpy(),
        sent={name: each.cpu().numpy() for name, each in messages.items()},
    )


def sent(chip: TwinClassifier, run: Run, images: Tensor) -> dict[str, Float[Tensor, "N *shape"]]:
    """Messages of each neuron over all steps; those from outside carry no gradient."""
    payload = chip.payload(images).detach()
    held = chip.encoding.steps if len(payload) == 1 else 1
    outside = (payload != 0).sum(0).double() * held
    return {chip.source.name: outside} | {name: s.sum(0).double() for name, s in run.spikes.items()}


def reached(program: Program) -> dict[str, Float[Tensor, "*shape"]]:
    """By source and population, how many weights other than 0 a message of each neuron meets."""
    return {
        name: sum(
            (fan_out(s, shape) for s in program.synapses if s.source == name),
            torch.zeros(shape, dtype=torch.float64),
        )
        for name, shape in program.shapes.items()
    }


def synops(messages: Mapping[str, Tensor], reach: Mapping[str, Tensor]) -> Float[Tensor, " N"]:
    """Synaptic operations of each sample, differentiable in the messages."""
    met = (
        (each * reach[name].to(each.device)).flatten(1).sum(1) for name, each in messages.items()
    )
    return torch.stack(list(met)).sum(0)


def _latency(program: Program, done: Work, steps: int) -> list[float]:
    """Seconds of an inference, from and to, estimated from the mean messages."""
    chip = chip_named(PRICED)
    means = {name: each.mean(0) for name, each in done.sent.items()}
    found = costs(program, place(program, chip), chip, sent=means, steps=steps).latency
    assert found is not None, "times of this chip are published"
    return list(found)


def _cut(done: Work, count: int) -> Work:
    """Without the padding."""
    return Work(
        synops=done.synops[:count],
        spikes=done.spikes[:count],
        answers=done.answers[:count],
        sent={name: each[:count] for name, each in done.sent.items()},
    )


def _joined(parts: Sequence[Work]) -> Work:
    return Work(
        synops=np.concatenate([part.synops for part in parts]),
        spikes=np.concatenate([part.spikes for part in parts]),
        answers=np.concatenate([part.answers for part in parts]),
        sent={name: np.concatenate([p.sent[name] for p in parts]) for name in parts[0].sent},
    )
