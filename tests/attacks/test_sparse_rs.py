import pytest
import torch

from spikeproof.attacks.lattice import ThreatModel
from spikeproof.attacks.sparse_rs import SparseRS, exchanged
from spikeproof.attacks.target import FunctionTarget

LABELS = torch.zeros(3, dtype=torch.int64)


@pytest.mark.parametrize(
    ("step", "steps", "chosen", "count"),
    [(0, 1000, 20, 6), (1, 1000, 20, 3), (6, 1000, 20, 1), (999, 1000, 200, 3), (0, 10, 1, 1)],
)
def test_exchanges_shrink_on_the_schedule_of_ten_thousand_queries(step, steps, chosen, count):
    assert exchanged(step, steps, chosen) == count


def test_sparse_rs_finds_the_pixels_that_matter_without_gradients():
    """Three pixels of 36 decide, each in one colour of two channels."""
    weight = torch.zeros(2, 6, 6)
    weight[0, 1, 2], weight[1, 4, 4], weight[0, 5, 0] = 1.0, -1.0, 1.0

    def logits(x):
        score = (weight * (x.detach() - 128 / 255)).flatten(1).sum(1)
        return torch.stack([torch.zeros_like(score), score], dim=1)

    images = torch.full((3, 2, 6, 6), 128 / 255)
    found = SparseRS(name="r", steps=600)(
        FunctionTarget(logits, name="three"),
        images,
        LABELS,
        threat=ThreatModel(epsilon=3.0, norm="l0"),
        keys=torch.arange(3),
        seed=0,
    )
    best = (127 + 128 + 127) / 255
    gain = (weight * (found.images - images)).flatten(1).sum(1)
    assert gain.tolist() == pytest.approx([best] * 3, abs=1e-5)


@pytest.mark.parametrize("epsilon", [0.0, 36.0, 100.0])
def test_sparse_rs_takes_balls_of_no_and_of_all_pixels(epsilon):
    def logits(x):
        return torch.stack([x.flatten(1).sum(1), torch.zeros(len(x))], dim=1)

    images = torch.full((3, 1, 6, 6), 128 / 255)
    threat = ThreatModel(epsilon=epsilon, norm="l0")
    found = SparseRS(name="r", steps=30)(
        FunctionTarget(logits, name="sum"),
        images,
        LABELS,
        threat=threat,
        keys=torch.arange(3),
        seed=0,
    )
    assert ((found.images != images).flatten(1).sum(1) <= epsilon).all()


def test_where_no_place_is_left_to_exchange_with_pixels_get_new_colours():
    def logits(x):
        return torch.stack([torch.zeros(len(x)), x.detach().flatten(1).sum(1) - 36], dim=1)

    found = SparseRS(name="r", steps=300)(
        FunctionTarget(logits, name="sum"),
        torch.zeros(3, 1, 6, 6),
        LABELS,
        threat=ThreatModel(epsilon=36.0, norm="l0"),
        keys=torch.arange(3),
        seed=0,
    )
    assert (found.images.flatten(1).sum(1) > 33).all()
