from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeproof.attacks.suite import attack_named
from spikeproof.audit.cells import (
    WIDTH_SWEEP,
    Bench,
    controls,
    is_tied,
    members,
    other,
    second_looks,
)
from spikeproof.audit.config import AuditConfig
from spikeproof.sim.gradients.estimators import PUBLISHED

CPU = torch.device("cpu")


@pytest.fixture
def bench(float_toy, chip_toy):
    config = AuditConfig()
    return Bench(
        targets={"float": float_toy, "hardware": chip_toy},
        suite=config.attacks,
        threat=config.threat,
        seed=0,
    )


def crossed(bench, samples, name="pgd10"):
    attack = attack_named(name)
    rows = []
    for batch in samples.batches(8, device=CPU):
        rows += bench.crossed(batch, source="hardware", attack=attack, role="suite").to_pylist()
    return sorted(rows, key=lambda row: (row["evaluated_on"], row["sample"]))


@pytest.mark.parametrize("name", ["fgsm", "pgd10", "apgd10"])
def test_rows_do_not_depend_on_the_order_of_samples(bench, samples, rng, name):
    shuffled = rng.permutation(len(samples))
    other_order = type(samples)(
        images=samples.images[shuffled],
        labels=samples.labels[shuffled],
        keys=samples.keys[shuffled],
    )
    assert crossed(bench, samples, name) == crossed(bench, other_order, name)


def test_rows_do_not_depend_on_removed_samples(bench, samples):
    kept = samples.where(samples.keys % 3 == 0)
    wanted = [row for row in crossed(bench, samples) if row["sample"] % 3 == 0]
    assert crossed(bench, kept) == wanted


def test_transfer_rows_hold_every_sample(bench, samples):
    rows = [row for row in crossed(bench, samples) if row["evaluated_on"] == "float"]
    assert [row["sample"] for row in rows] == samples.keys.tolist()


def test_transfer_rows_are_judged_on_the_other_model(bench, samples):
    images, labels = samples.images.copy(), samples.labels
    images[:, :, 0] = 255 * labels[:, None, None]
    clear = type(samples)(images=images, labels=labels, keys=samples.keys)
    rows = [row for row in crossed(bench, clear) if row["evaluated_on"] == "float"]
    assert all(row["is_right"] for row in rows)


def test_clean_rows_count_ties(bench, samples):
    images = np.tile(np.array([[127], [128]], np.uint8), (1, 1, 1, 32)).reshape(1, 1, 1, 64)
    even = type(samples)(
        images=np.concatenate([images, images], axis=2),
        labels=np.array([1]),
        keys=np.array([0]),
    )
    (row,) = bench.clean(even.batch(0, 4, device=CPU), side="float").to_pylist()
    assert row["is_tied"] is True
    assert row["is_right"] is False, "the lowest class index wins a tie"


def test_is_tied_looks_at_the_top_only():
    logits = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert is_tied(logits).tolist() == [True, False]


def test_members_use_every_estimator_once(float_toy):
    found = [(m.name, m.estimator) for m in members(AuditConfig(), float_toy)]
    assert len(found) == len(set(found)) == 6
    assert {estimator for _, estimator in found} == {"exact", "blind"}


def test_members_are_limited_to_the_wanted_estimators(float_toy):
    config = AuditConfig(estimators=("exact",))
    assert {m.estimator for m in members(config, float_toy)} == {"exact"}


def test_controls_are_as_many_corners_as_fgsms_and_a_short_pgd(float_toy):
    corners, short = controls(AuditConfig(), float_toy)
    assert (corners.name, corners.restarts) == ("corners", 2)
    assert (short.name, short.estimator) == ("pgd3-scaled", "exact")


def test_second_looks_try_what_the_suite_has_not(float_toy):
    looks = second_looks(AuditConfig(), replace(float_toy, estimators=PUBLISHED + WIDTH_SWEEP))
    assert [attack.name for attack in looks["search"]] == ["square200"]
    assert tuple(attack.estimator for attack in looks["widths"]) == WIDTH_SWEEP
    assert list(second_looks(AuditConfig(), float_toy)) == ["search"]


def test_other_is_the_other_side():
    assert (other("float"), other("hardware")) == ("hardware", "float")
