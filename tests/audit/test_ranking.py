from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeproof.attacks.suite import SHARPEST
from spikeproof.audit.config import AuditConfig
from spikeproof.audit.ranking import greedy, ranking

CPU = torch.device("cpu")
FULL = AuditConfig(suite="full")
MANY = ("blind", "dark", "exact", "grey", "murky", "void")


@pytest.fixture
def toy(float_toy):
    """Six names, of which one alone has a gradient."""

    class Named:
        name, estimators = "named", MANY

        def __call__(self, x):
            return float_toy(x)

        def using(self, estimator):
            return replace(float_toy, estimator="exact" if estimator == "exact" else "blind")

    return Named()


def test_the_estimator_that_finds_most_comes_first(toy, samples):
    found = ranking(FULL, toy, samples, device=CPU)
    assert found[0] == "exact"
    assert len(found) == FULL.attacks.ranked == 5


def test_greedy_prefers_what_adds_to_what_is_there():
    found = {"a": [1.0, 0.0, 0.0], "b": [0.9, 0.0, 0.0], "c": [0.0, 0.5, 0.0]}
    scores = {name: np.array(values) for name, values in found.items()}
    assert greedy(scores, count=2) == ("a", "c")
    assert greedy(scores, count=3, first=["b"]) == ("b", "c", "a")


def test_named_estimators_are_taken_as_they_are(toy, samples):
    config = replace(FULL, estimators=("void", "exact"))
    assert ranking(config, toy, samples, device=CPU) == ("void", "exact")


def test_few_estimators_are_all_taken(float_toy, samples):
    assert ranking(FULL, float_toy, samples, device=CPU) == ("exact", "blind")
    assert not float_toy.calls


def test_exhaustive_suite_takes_all(toy, samples):
    assert ranking(AuditConfig(suite="exhaustive"), toy, samples, device=CPU) == MANY


def test_without_images_the_order_of_preference_decides(toy):
    known = replace(toy.using("exact"), estimators=(*SHARPEST, "sigmoid"))
    assert ranking(FULL, known, None, device=CPU) == SHARPEST
