import math

import numpy as np
import pytest
import torch

from spikeproof.attacks.lattice import ThreatModel
from spikeproof.attacks.square import Square
from spikeproof.attacks.square_l2 import Hills, hill_of
from spikeproof.attacks.target import FunctionTarget
from spikeproof.attacks.trial import Trial

NEVER = torch.zeros(3, dtype=torch.int64)


def blind(score):
    """Two classes of which the second has the score; no gradient reaches the image."""

    def logits(x):
        found = score(x.detach())
        return torch.stack([torch.zeros_like(found), found], dim=1)

    return FunctionTarget(logits, name="blind")


def hills(images, epsilon):
    target = blind(lambda x: x.flatten(1).sum(1))
    threat = ThreatModel(epsilon=epsilon, norm="l2", lattice=False)
    trial = Trial(target, images, NEVER[: len(images)], threat=threat, keys=torch.arange(3))
    return Hills(trial, [np.random.default_rng(k) for k in range(len(images))], 30)


def slow_heap(rows, columns):
    """As the paper sums it: pixel by pixel, over the rectangles that hold the pixel."""
    top, left = rows // 2, columns // 2
    heap = [
        [
            sum(
                1 / (k + 1) ** 2
                for k in range(max(top, left) + 1)
                if abs(i - top) <= k and abs(j - left) <= k
            )
            for j in range(columns)
        ]
        for i in range(rows)
    ]
    return np.array(heap).reshape(rows, columns)


@pytest.mark.parametrize("side", [1, 2, 3, 5, 8])
def test_hills_are_two_heaps_of_opposite_sign(side):
    upper, lower = side // 2, side - side // 2
    heaps = [slow_heap(rows, side) for rows in (upper, lower)]
    heaps = [heap / max(float(np.linalg.norm(heap)), 1e-12) for heap in heaps]
    hill = np.concatenate([heaps[0], -heaps[1]])
    expected = (hill / np.linalg.norm(hill)).tolist()
    assert hill_of(side).tolist() == [pytest.approx(row, abs=1e-6) for row in expected]


def test_every_proposal_lies_on_the_edge_of_the_ball():
    images = torch.full((3, 2, 9, 7), 0.5)
    found = hills(images, 0.4)
    best = found.start()
    for step, share in enumerate((0.8, 0.4, 0.1, 0.01)):
        best = found.propose(best, step, share)
        assert (best - images).flatten(1).norm(dim=1).tolist() == pytest.approx([0.4] * 3)


def test_a_proposal_changes_two_windows_and_rescales_the_rest():
    images = torch.full((3, 1, 12, 12), 0.5)
    found = hills(images, 0.4)
    before = (found.start() - images).flatten(1)
    after = (found.propose(found.start(), 0, 0.06) - images).flatten(1)
    ratio = after / before
    for row in ratio:
        kept = row[row.isfinite()]
        usual = kept.median()
        assert ((kept - usual).abs() > 1e-4).sum() <= 2 * 9


def test_square_needs_no_gradient_in_the_l2_ball():
    """The best of a sum of pixels is ε·√pixels, all up by the same."""
    images = torch.full((3, 1, 6, 6), 127 / 255)
    threat = ThreatModel(epsilon=0.5, norm="l2")
    target = blind(lambda x: (x - 127 / 255).flatten(1).sum(1) - 10)
    found = Square(name="s", steps=800)(
        target, images, NEVER, threat=threat, keys=torch.arange(3), seed=0
    )
    gain = (found.images - images).flatten(1).sum(1)
    assert (gain >= 0.5 * 0.5 * math.sqrt(36)).all()
