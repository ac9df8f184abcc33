import pytest
import torch
from torch import nn

from spikeproof.attacks.lattice import ThreatModel
from spikeproof.attacks.loss import cross_entropy
from spikeproof.attacks.pgd import PGD, pgd_steps
from spikeproof.attacks.suite import ATTACKS
from spikeproof.core.randomness import generator


def slow_pgd(target, image, label, *, key, steps):
    """One image, pixel by pixel, in levels of 255: ε is 8 of them, a step 2.55."""
    original = [round(255 * value) for value in image.flatten().tolist()]
    draws = generator(0, f"pgd{steps}", "", 0, key).integers(-8, 9, image.shape).flatten().tolist()
    shadow = [min(max(k + d, 0), 255) for k, d in zip(original, draws, strict=True)]
    for _ in range(steps):
        seen = torch.tensor([round(s) / 255 for s in shadow]).reshape(1, *image.shape)
        seen.requires_grad_(True)
        (gradient,) = torch.autograd.grad(cross_entropy(target(seen), label[None]).sum(), seen)
        for pixel, slope in enumerate(gradient.flatten().tolist()):
            moved = shadow[pixel] + 2.55 * ((slope > 0) - (slope < 0))
            low, high = max(original[pixel] - 8, 0), min(original[pixel] + 8, 255)
            shadow[pixel] = min(max(moved, low), high)
    return [round(s) for s in shadow]


def test_pgd_equals_a_slow_loop(toy, batch, threat):
    for steps in (10, 30):
        found = ATTACKS[f"pgd{steps}"](toy, **batch, threat=threat, seed=0).last
        for sample in range(8):
            image, label, key = (batch[what][sample] for what in ("images", "labels", "keys"))
            expected = slow_pgd(toy, image, label, key=int(key), steps=steps)
            assert (found[sample] * 255).round().flatten().tolist() == expected


def test_pgd_steps_below_one_level_add_up(toy, batch, threat):
    small = PGD(name="small", steps=4, step_size=0.3 / 255)
    found = small(toy, **batch, threat=threat, seed=0)
    start = PGD(name="small", steps=0)(toy, **batch, threat=threat, seed=0).last
    moved = ((found.last - start) * 255).round().abs()
    assert moved.max() == 1
    assert moved.sum() > 0


@pytest.mark.parametrize(("level", "levels"), [(1, 1), (2, 1), (8, 2), (64, 16), (255, 63.75)])
def test_pgd_steps_follow_the_ball_so_that_they_cross_it(level, levels):
    attack = PGD(name="scaled", steps=10)
    size = attack.step_in(ThreatModel(epsilon=level / 255))
    assert size == pytest.approx(levels / 255)
    assert attack.steps * size >= 2 * level / 255


def test_pgd_steps_equal_the_last_iterate_of_pgd(toy, batch):
    for lattice in (True, False):
        threat = ThreatModel(epsilon=8 / 255, lattice=lattice)
        start = PGD(name="pgd10", steps=0)(toy, **batch, threat=threat, seed=0).last
        found = ATTACKS["pgd10"](toy, **batch, threat=threat, seed=0).last
        quick = pgd_steps(
            toy,
            batch["images"],
            batch["labels"],
            start=start,
            epsilon=8 / 255,
            step_size=0.01,
            steps=10,
            lattice=lattice,
        )
        assert torch.equal(quick, found)


def test_pgd_steps_give_parameters_no_gradient_and_return_no_graph():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    images, labels = torch.rand(5, 1, 2, 2), torch.arange(5) % 3
    found = pgd_steps(network, images, labels, start=images, epsilon=0.03, step_size=0.01, steps=2)
    assert not found.requires_grad
    assert all(parameter.grad is None for parameter in network.parameters())
    assert 0.0199 < (found - images).abs().max() < 0.0201
