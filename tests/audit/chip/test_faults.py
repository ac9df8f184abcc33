"""Accuracy under faults: the sound chip's at rate 0, a silent network's where all spikes go."""

import numpy as np
import pytest

from spikeproof.attacks.loss import cross_entropy
from spikeproof.attacks.suite import crossed
from spikeproof.audit.chip import faults as module
from spikeproof.audit.chip.faults import faults
from spikeproof.audit.samples import Samples
from spikeproof.tests.audit.chip.conftest import planted

FIRES = planted(weight=1, vth=4 * 110)
"""Answers 1 where the mean of the pixels is above 110 / 3: out reads its spikes, -1 and +1."""


@pytest.fixture
def samples():
    levels = np.repeat(np.array([10, 90, 100, 20, 36], np.uint8), 4).reshape(5, 1, 2, 2)
    labels = np.array([0, 1, 1, 0, 0], np.int64)
    return Samples(images=levels, labels=labels, keys=np.arange(5, dtype=np.int64))


@pytest.fixture
def rows(ask, samples, monkeypatch):
    """Faults at rates 0 and 1 of the chip that fires, PGD10 beside it."""
    monkeypatch.setattr(
        module,
        "FAULTS",
        {name: (make, (0.0, 1.0)) for name, (make, _) in module.FAULTS.items()},
    )
    return faults(
        ask(FIRES, samples=samples, levels=4),
        crossed(["pgd10-scaled"], ["triangle"]),
        confidence=0.95,
    )


@pytest.mark.parametrize("fault", ["bit_flips", "dropped_spikes"])
def test_nothing_changes_at_rate_0(rows, fault):
    for kind, share in (("clean", 1.0), ("adversarial", 0.8)):
        same = dict.fromkeys(("value", "low", "high"), share)
        assert rows[fault][0][kind] == pytest.approx(same)


def test_without_spikes_the_answer_is_class_0(rows):
    assert rows["dropped_spikes"][1]["clean"]["value"] == pytest.approx(0.6)


def test_adversarial_images_are_the_worst_that_attacks_find(ask, samples):
    asked = ask(FIRES, samples=samples, levels=4)
    batch = next(asked.batches())

    def loss(*names):
        found = module._worst(asked, crossed(names, ["triangle"]), batch)
        assert (found - batch.images).abs().max() <= 4.001 / 255
        return cross_entropy(asked.chip(found), batch.labels)

    both = loss("noise", "pgd10-scaled")
    assert (both >= loss("noise")).all()
    assert (both >= loss("pgd10-scaled")).all()


def test_draws_differ_and_their_interval_says_so(ask, samples, monkeypatch):
    monkeypatch.setattr(module, "FAULTS", {"bit_flips": (module.bit_flips, (0.0, 0.2))})
    told = faults(ask(FIRES, samples=samples), crossed(["fgsm"], ["triangle"]), confidence=0.95)
    wide = [row["clean"]["high"] - row["clean"]["low"] for row in told["bit_flips"]]
    assert wide[0] == pytest.approx(0.0)
    assert wide[1] > 0.05
