"""Networks under several norms: calibrated radii, monotone rows, and what comparisons say."""

import numpy as np
import pytest
import torch

from spikeproof.attacks.target import FunctionTarget
from spikeproof.audit.norm_comparison import compare, markdown, sentences
from spikeproof.audit.norm_matrix import CLEAN, NormMatrix, NormMatrixConfig, candidates
from spikeproof.audit.samples import Samples
from spikeproof.core.errors import ConfigError

NORMS = ("linf", "l2", "l1", "l0")
QUICK = {"attacks": ("pgd10-scaled",), "batch_size": 16}


def brighter(margin):
    """Class 1 where the left half is brighter than the right one by more than `margin`."""

    def logits(x):
        score = 20 * (x[..., :2].mean((1, 2, 3)) - x[..., 2:].mean((1, 2, 3)) - margin)
        return torch.stack([torch.zeros_like(score), score], dim=1)

    return FunctionTarget(logits, name=f"brighter by {margin}")


@pytest.fixture
def samples(rng):
    images = rng.integers(0, 100, (40, 1, 4, 4), dtype=np.uint8)
    images[:20, :, :, :2] += 150
    images[20:, :, :, 2:] += 150
    labels = (images[..., :2].mean((1, 2, 3)) > images[..., 2:].mean((1, 2, 3))).astype(np.int64)
    return Samples(images=images, labels=labels, keys=np.arange(40, dtype=np.int64))


def matrix(samples, targets, **options):
    return NormMatrix(
        config=NormMatrixConfig(**{**QUICK, **options}),
        targets=targets,
        samples=samples,
        device=torch.device("cpu"),
    )


def test_radii_are_where_the_reference_keeps_half_of_its_accuracy(samples):
    targets = {"exact": brighter(0.0), "off": brighter(0.1)}
    found = matrix(samples, targets).measure()
    assert found["reference"] == "exact"
    for norm, epsilon in found["epsilons"].items():
        tried = candidates(norm, (1, 4, 4))
        assert epsilon > tried[0]
        before = tried[tried.index(epsilon) - 1]
        left, wider = (
            matrix(samples, targets, norms=(norm,), epsilons={norm: e}).measure()
            for e in (epsilon, before)
        )
        kept, more = (sum(each["right"]["exact"][norm]) for each in (left, wider))
        assert kept <= 20 < more


def test_shares_count_what_stands_and_attacks_only_take_away(samples):
    found = matrix(samples, {"a": brighter(0.0), "b": brighter(0.1)}).measure()
    for name, columns in found["right"].items():
        clean = np.array(columns[CLEAN])
        for column, right in columns.items():
            assert not (np.array(right) & ~clean).any()
            assert found["shares"][name][column]["value"] == np.mean(right)


def test_given_radii_are_not_calibrated(samples):
    given = {"linf": 8 / 255, "l0": 1.0}
    found = matrix(samples, {"a": brighter(0.0)}, norms=("linf", "l0"), epsilons=given).measure()
    assert found["epsilons"] == given


def test_comparisons_are_paired_and_corrected_together():
    right = {
        "a": {"linf": [True] * 30 + [False] * 10, "l2": [True] * 40},
        "b": {"linf": [True] * 10 + [False] * 30, "l2": [True] * 40},
    }
    found = {"right": right, "epsilons": {"linf": 8 / 255, "l2": 0.5}}
    rows = compare(found, [("a", "b")])
    assert [row["value"] for row in rows] == [0.5, 0.0]
    assert rows[0]["p"] == pytest.approx(2 * 0.5**20)
    assert rows[0]["p_holm"] == pytest.approx(2 * rows[0]["p"])
    (said,) = sentences(rows)
    assert said.startswith("a against b: more robust (+50.0 points")
    assert "no difference can be told (+0.0 points" in said
    assert compare(found, []) == []


def test_table_has_a_line_a_network_and_names_the_radii(samples):
    found = matrix(samples, {"a": brighter(0.0), "b": brighter(0.1)}, norms=NORMS).measure()
    lines = markdown(found, compare(found, [("a", "b")])).splitlines()
    assert "pixels" in lines[0]
    assert f"{round(found['epsilons']['linf'] * 255)}/255" in lines[0]
    assert [line.split("|")[1].strip() for line in lines[2:4]] == ["a", "b"]
    assert lines[-1].startswith("- a against b: ")


@pytest.mark.parametrize("norm", NORMS)
def test_candidates_rise_from_the_least_change_to_the_whole_range(norm):
    tried = candidates(norm, (2, 3, 3))
    ends = {"linf": (1 / 255, 1), "l2": (1 / 255, 18**0.5), "l1": (1 / 255, 18), "l0": (1, 9)}
    assert (tried[0], tried[-1]) == pytest.approx(ends[norm])
    assert tried == sorted(set(tried))


def test_a_reference_that_nothing_breaks_is_refused(samples):
    def constant(x):
        return torch.stack([x.new_zeros(len(x)) + 1, 0 * x.sum((1, 2, 3))], dim=1)

    target = {"rock": FunctionTarget(constant, name="rock")}
    with pytest.raises(ConfigError, match="expected rock to lose half of its accuracy in some"):
        matrix(samples, target).measure()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norms": ("l3",)}, "expected a norm among linf, l2, l1, l0, got 'l3'"),
        ({"norms": ("l2", "l2")}, "expected different norms"),
        ({"norms": ("l2",), "epsilons": {"l1": 1.0}}, "got those of l1 too; leave them out"),
        ({"attacks": ("apgd50",)}, "expected an attack that searches l0 balls, got apgd50"),
        ({"epsilons": {"l0": 1.5}}, "expected a whole number of pixels"),
    ],
)
def test_impossible_questions_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        NormMatrixConfig(**options)


@pytest.mark.parametrize("norm", NORMS)
def test_radius_of_nothing_is_a_radius(samples, norm):
    found = matrix(samples, {"a": brighter(0.1)}, norms=(norm,), epsilons={norm: 0.0}).measure()
    assert found["epsilons"] == {norm: 0.0}
    assert found["right"]["a"][norm] == found["right"]["a"][CLEAN]
