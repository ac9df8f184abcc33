from itertools import pairwise

import pytest
import torch

from spikeproof.attacks.apgd import APGD, checkpoint_lengths
from spikeproof.attacks.lattice import ThreatModel
from spikeproof.attacks.loss import cross_entropy, is_fooled
from spikeproof.attacks.target import FunctionTarget

START = APGD(name="apgd", steps=0)


@pytest.mark.parametrize(
    ("steps", "lengths"),
    [
        (0, ()),
        (1, (1,)),
        (10, (2, 1, 1, 1, 1, 1, 1, 1, 1)),
        (50, (11, 10, 9, 8, 7)),
        (100, (22, 19, 16, 13, 10, 7, 6, 6)),
    ],
)
def test_checkpoints_lie_where_the_paper_puts_them(steps, lengths):
    assert checkpoint_lengths(steps) == lengths


def slow_apgd(target, image, label, *, start, threat, steps):
    """One image, with the whole history kept: visited points, their losses, and step sizes."""

    def look(x):
        x = threat.round(x).detach().requires_grad_(True)
        loss = cross_entropy(target(x), label)
        (gradient,) = torch.autograd.grad(loss.sum(), x)
        return loss.item(), gradient

    def clip(x):
        return torch.clamp(x, image - threat.radius, image + threat.radius).clamp(0, 1)

    looks = [look(start)]
    visited, came_from, x = [start], start, start
    gradient, size, halved, checked, since = looks[0][1], 2 * threat.radius, True, looks[0][0], 0
    lengths = list(checkpoint_lengths(steps))
    for step in range(steps):
        a = 1.0 if step == 0 else 0.75
        z = clip(x + size * gradient.sign())
        x, came_from = clip(x + a * (z - x) + (1 - a) * (x - came_from)), x
        visited.append(x)
        looks.append(look(x))
        gradient, since = looks[-1][1], since + 1
        if lengths and since == lengths[0]:
            losses = [loss for loss, _ in looks]
            recent = losses[-since - 1 :]
            rises = sum(after > before for before, after in pairwise(recent))
            halved = rises <= 0.75 * since or (not halved and max(losses) <= checked)
            checked, since = max(losses), 0
            if halved:
                size /= 2
                best = losses.index(max(losses))
                x, gradient = visited[best], looks[best][1]
            lengths.pop(0)
    return [threat.round(point) for point in visited]


@pytest.mark.parametrize("steps", [10, 40])
@pytest.mark.parametrize("lattice", [True, False])
def test_apgd_equals_a_slow_loop(steps, lattice, toy, batch):
    threat = ThreatModel(epsilon=64 / 255, lattice=lattice)
    found = APGD(name="apgd", steps=steps)(toy, **batch, threat=threat, seed=0)
    starts = START(toy, **batch, threat=threat, seed=0).last
    for n in range(8):
        image, label = batch["images"][n : n + 1], batch["labels"][n : n + 1]
        start = starts[n : n + 1]
        visited = slow_apgd(toy, image, label, start=start, threat=threat, steps=steps)
        assert torch.equal(found.last[n], visited[-1][0])
        losses = [cross_entropy(toy(x), label).item() for x in visited]
        assert torch.equal(found.images[n], visited[losses.index(max(losses))][0])
        assert found.fooled_any[n] == any(bool(is_fooled(toy(x), label)) for x in visited)


def test_apgd_takes_a_first_step_of_twice_epsilon():
    """From any start the first step reaches the far corner of the ball."""
    target = FunctionTarget(lambda x: torch.cat([x.flatten(1), -x.flatten(1)], 1), name="pixel")
    images, labels = torch.full((9, 1, 1, 1), 100 / 255), torch.zeros(9, dtype=torch.int64)
    attack, threat = APGD(name="apgd", steps=1), ThreatModel(epsilon=8 / 255)
    found = attack(target, images, labels, threat=threat, keys=torch.arange(9), seed=0)
    assert (found.last * 255).round().unique().tolist() == [92]
