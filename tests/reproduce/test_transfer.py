from itertools import product

import numpy as np
import pytest

from spikeproof.reproduce.run import ReproduceConfig, run
from spikeproof.reproduce.transfer import NORMS, PAIRS, SIDES, _answers


def answers(better):
    """Claims where the penalty rights every sample, none, or the same as before."""
    before = np.arange(60) < 30
    after = {"up": np.ones(60, bool), "down": np.zeros(60, bool), "same": before}[better]
    right = {
        (row, norm, side): found
        for without, penalised in PAIRS
        for row, found in ((without, before), (penalised, after))
        for norm in NORMS
        for side in SIDES
    }
    return _answers(right)


@pytest.mark.parametrize(("better", "holds"), [("up", True), ("down", False), ("same", None)])
def test_each_norm_is_answered_with_paired_intervals(better, holds):
    first, *each = answers(better)
    assert len(each) == len(NORMS) * len(SIDES)
    assert {claim.holds for claim in each} == {holds}
    assert first.holds is holds
    assert "of 24 comparisons" in first.here
    change = {"up": "+50.0", "down": "−50.0", "same": "+0.0"}[better]
    assert each[0].here.startswith(f"points: SR − vanilla {change} (")


@pytest.mark.slow
def test_networks_are_attacked_in_every_norm(tiny, tmp_path):
    result = run(ReproduceConfig(target="norms", scale=tiny), tmp_path)
    value = {
        (cell["row"], cell["column"], side): cell[side]["value"]
        for cell in result.to_dict()["cells"]
        for side in SIDES
        if cell[side]
    }
    for row in ("vanilla", "SR", "AT ℓ∞", "SR* ℓ∞", "AT ℓ2", "SR* ℓ2"):
        for norm, side in product(NORMS, SIDES):
            assert value[row, norm, side] <= value[row, "clean", side]
        assert value[row, "of a linear f ℓ2", "on_float"] == pytest.approx(66, rel=1e-4)
    radii = result.numbers["digits"]["radii"]
    assert radii["ℓ∞"] == 0.1
    assert radii["ℓ2"] == pytest.approx(0.1 * 22**0.5)
