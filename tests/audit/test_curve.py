import numpy as np
import pytest
import torch

from spikeproof.attacks.lattice import ThreatModel
from spikeproof.audit.config import AuditConfig
from spikeproof.audit.curve import unbroken
from spikeproof.audit.plan import Plan

CPU = torch.device("cpu")


def stand(target, samples, level, **options):
    defaults = {"estimators": ("exact",), "batch_size": 8, "seed": 0}
    return unbroken(
        target,
        samples,
        threat=ThreatModel(epsilon=8 / 255),
        epsilon=level / 255,
        is_clean_right=np.arange(len(samples)) % 5 != 4,
        device=CPU,
        **{**defaults, **options},
    )


@pytest.mark.parametrize(("level", "margin"), [(0, 0), (4, 4), (8, 8), (20, 20), (64, 64)])
def test_curve_equals_the_truth(float_toy, samples, level, margin):
    distance = np.abs(samples.images[:, 0, 0, 0] - 127.5)
    right = (samples.images[:, 0, 0, 0] > 127.5) == (samples.labels == 1)
    clean = np.arange(len(samples)) % 5 != 4
    wanted = clean & (right if level else True) & ((distance > margin) if level else True)
    if level == 0:
        wanted = clean
    assert np.array_equal(stand(float_toy, samples, level), wanted)


def test_curve_ends_at_zero(float_toy, samples):
    assert not stand(float_toy, samples, 255).any()


def test_curve_takes_the_worst_estimator(float_toy, samples):
    blind = stand(float_toy, samples, 8, estimators=("blind",))
    both = stand(float_toy, samples, 8, estimators=("blind", "exact"))
    assert np.array_equal(both, stand(float_toy, samples, 8))
    assert blind.sum() > both.sum()


def test_curve_does_not_depend_on_the_batch_size(float_toy, samples):
    assert np.array_equal(
        stand(float_toy, samples, 4, batch_size=3), stand(float_toy, samples, 4, batch_size=64)
    )


def test_curve_attacks_only_what_stands(float_toy, samples):
    stand(float_toy, samples, 255, estimators=("exact", "blind"))
    once = len(float_toy.calls)
    float_toy.calls.clear()
    stand(float_toy, samples, 255)
    assert len(float_toy.calls) == once


@pytest.mark.parametrize(
    ("norm", "levels"), [("linf", (0, 1, 2, 64, 128, 255)), ("l0", (0, 64, 128, 255))]
)
def test_curve_measures_no_ball_twice(float_toy, samples, norm, levels):
    """Of four pixels, levels 1 and 2 of 255 are none."""
    plan = Plan.of(
        AuditConfig(norm=norm, epsilon=1.0, curve=(0, 1, 2, 64, 128, 255)),
        float_target=float_toy,
        hardware_target=float_toy,
        images=np.zeros((3, 1, 2, 2), np.uint8),
        labels=samples.labels[:3],
    )
    assert plan.config.curve == levels
