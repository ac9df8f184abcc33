from typing import Any

import numpy as np
import torch

from spikeproof.attacks.lattice import ThreatModel
from spikeproof.attacks.suite import ATTACKS
from spikeproof.attacks.target import FunctionTarget
from spikeproof.core.randomness import generator

WEIGHTS = torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0, -0.25])


def linear(x):
    """Two classes: the larger Σ w·x, the likelier class 0."""
    score = x.flatten(1) @ WEIGHTS.to(x)
    return torch.stack([score, -score], dim=1)


LINEAR = FunctionTarget(linear, name="linear")


def grey(level) -> dict[str, Any]:
    images = torch.full((2, 1, 2, 3), level / 255)
    return {"images": images, "labels": torch.tensor([0, 1]), "keys": torch.arange(2)}


def levels(images):
    return (images * 255).round().flatten(1).int().tolist()


def test_fgsm_reaches_the_optimum_of_a_linear_softmax():
    found = ATTACKS["fgsm"](LINEAR, **grey(100), threat=ThreatModel(epsilon=8 / 255), seed=0)
    down = [92, 108, 92, 100, 92, 108]  # no weight, no gradient, no change
    up = [108, 92, 108, 100, 108, 92]
    assert levels(found.last) == levels(found.images) == [down, up]
    assert found.zero_gradients.allclose(torch.tensor(1 / 6))


def test_fgsm_takes_no_more_than_whole_levels_of_epsilon():
    found = ATTACKS["fgsm"](LINEAR, **grey(3), threat=ThreatModel(epsilon=0.031), seed=0)
    assert levels(found.last)[0] == [0, 10, 0, 3, 0, 10]


def test_rfgsm_steps_from_a_corner_at_half_the_radius():
    for epsilon, first, second in [(8 / 255, 4, 4), (9 / 255, 4, 5), (1 / 255, 0, 1)]:
        threat = ThreatModel(epsilon=epsilon)
        found = ATTACKS["rfgsm"](LINEAR, **grey(100), threat=threat, seed=0)
        for sample, sign in enumerate([-1, 1]):
            draw = generator(0, "rfgsm", "", 0, sample).standard_normal((1, 2, 3))
            moved = first * np.sign(draw).flatten() + second * sign * np.sign(WEIGHTS.numpy())
            assert levels(found.last)[sample] == (100 + moved).astype(int).tolist()


def test_rfgsm_halves_epsilon_off_the_lattice():
    threat = ThreatModel(epsilon=0.03, lattice=False)
    found = ATTACKS["rfgsm"](LINEAR, **grey(100), threat=threat, seed=0)
    moved = (found.last - 100 / 255).abs().flatten(1)
    is_doubled, is_undone = (moved - 0.03).abs() < 1e-6, moved < 1e-6
    is_half = (moved - 0.015).abs() < 1e-6
    assert torch.equal(is_half, (WEIGHTS == 0).expand(2, 6))
    assert (is_doubled | is_undone | is_half).all()
