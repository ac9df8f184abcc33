import pytest
import torch

from spikeproof.attacks.lattice import ThreatModel
from spikeproof.attacks.square import Square, share_covered
from spikeproof.attacks.target import FunctionTarget


@pytest.mark.parametrize(
    ("step", "steps", "share"),
    [(0, 5000, 0.8), (6, 5000, 0.4), (26, 5000, 0.2), (4999, 5000, 0.8 / 512), (20, 200, 0.05)],
)
def test_squares_shrink_on_the_schedule_of_ten_thousand_queries(step, steps, share):
    assert share_covered(step, steps) == share


def test_square_never_falls_back_and_finds_a_corner_without_gradients():
    """A sum of pixels is largest at the corner where all are up; no gradient reaches the image."""

    def total(x):
        score = x.detach().flatten(1).sum(1) - 16 * 0.5
        return torch.stack([torch.zeros_like(score), score], 1)

    images, labels = torch.full((3, 1, 4, 4), 127 / 255), torch.zeros(3, dtype=torch.int64)
    options = {"threat": ThreatModel(epsilon=8 / 255), "keys": torch.arange(3), "seed": 0}
    found = Square(name="s", steps=200)(
        FunctionTarget(total, name="sum"), images, labels, **options
    )
    assert found.fooled_any.all()
    assert (found.images * 255).round().unique().tolist() == [135]
