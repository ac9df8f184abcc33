import numpy as np
import pytest
import torch

from spikeproof.core.errors import ConfigError
from spikeproof.deploy import scale
from spikeproof.deploy.lower import lower
from spikeproof.deploy.quantize import Precision
from spikeproof.deploy.scale import CANDIDATES, SearchConfig, search_scales
from spikeproof.sim.graph.meta import InputLattice, read_meta
from spikeproof.tests.deploy.networks import affine, chain, flatten, integrate, meta_of

SHAPE = (1, 2, 2)
CONFIG = SearchConfig(epsilon=8 / 255, attack_steps=2)


def outlier_network():
    """Class 1 where pixel 0 is bright. Its weight is 1; pixel 3, always dark, has weight 8.

    With 3 bits (peak 3), the scale that just fits is 3/8, where 1 rounds to nothing; one and a
    half times that keeps it and clips the weight that never counts.
    """
    first = np.array([[1.0, 0, 0, 8], [0, -0.8, 0.8, -8]])
    meta = meta_of(input_lattice=InputLattice(offset=(0,)), steps=4)
    nodes = {
        "flat": flatten(SHAPE),
        "dense": affine(first),
        "fire": integrate((2,), 100.0),
        "last": affine(np.array([[-1.0, 0.3], [1.0, -0.3]]), np.array([0.5, -0.5])),
    }
    graph = chain(nodes, shape=SHAPE, out=(2,), meta=meta)
    return lower(graph, read_meta(graph))


def samples(count=12):
    images = np.zeros((count, *SHAPE), dtype=np.float32)
    labels = np.arange(count) % 2
    images[:, 0, 0, 0] = np.where(labels == 1, 200, 20) / 255
    return torch.from_numpy(images), torch.from_numpy(labels)


def search(config=CONFIG, **data):
    images, labels = samples(**data)
    return search_scales(
        outlier_network(), images, labels, precision=Precision(bits=3), config=config
    )


def test_search_picks_the_factor_of_best_robust_accuracy():
    found = search()
    assert found.factors == {"fire": 1.5, "last": 1.0}
    assert found.robust_accuracy == 1.0
    seen = {row["factor"]: row["robust"] for row in found.tried if row["layer"] == "fire"}
    assert seen == {1.0: 0.5, 1.25: 0.5, 1.5: 1.0, 0.8: 0.5, 0.6: 0.5}


def test_first_factor_wins_ties():
    found = search()
    rows = [row for row in found.tried if row["layer"] == "last"]
    assert [row["factor"] for row in rows] == list(CANDIDATES)
    best = max((row["robust"], row["clean"]) for row in rows)
    first = next(row for row in rows if (row["robust"], row["clean"]) == best)
    assert found.factors["last"] == first["factor"]


def test_search_is_repeatable():
    assert search() == search()


def test_search_looks_at_its_samples_only():
    assert search(SearchConfig(attack_steps=2, samples=4), count=12) == search(
        SearchConfig(attack_steps=2, samples=4), count=4
    )


def test_larger_radius_leaves_less_robust():
    assert search(SearchConfig(epsilon=0.8, attack_steps=2)).robust_accuracy < 1.0


@pytest.mark.parametrize(
    "options", [{"epsilon": 0.0}, {"epsilon": 1.5}, {"attack_steps": 0}, {"samples": -1}]
)
def test_impossible_search_is_refused(options):
    with pytest.raises(ConfigError, match=r"expected epsilon in \(0, 1\], at least 1 attack step"):
        SearchConfig(**options)


def test_no_program_is_scored_twice(monkeypatch):
    programs = []

    def score(*given):
        programs.append(given[1])
        return 0.5, 0.5

    monkeypatch.setattr(scale, "_score", score)
    tried = search().tried
    assert len(tried) == 2 * len(CANDIDATES)
    assert len(programs) == len(tried) - 1


def test_batches_do_not_decide(monkeypatch):
    whole = search()
    monkeypatch.setattr(scale, "BATCH", 5)
    assert search() == whole
