from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeproof.attacks.suite import attack_named
from spikeproof.audit.cascade import Cascade
from spikeproof.audit.config import AuditConfig

TRIED = [
    replace(attack_named(name), estimator=estimator)
    for name in ("fgsm", "pgd10-scaled")
    for estimator in ("blind", "exact")
]


@pytest.fixture
def pursue(float_toy):
    def pursue(samples, **options):
        fields = {"target": float_toy, "samples": samples, "threat": AuditConfig().threat}
        fields |= {"batch_size": 8, "seed": 0, "device": torch.device("cpu")} | options
        return Cascade(**fields)

    return pursue


def everyone(samples):
    return np.ones(len(samples), dtype=bool)


def test_cascade_equals_every_attack_on_every_sample(pursue, samples):
    alone = [pursue(samples).survivors([attack], everyone(samples)) for attack in TRIED]
    found = pursue(samples).survivors(TRIED, everyone(samples))
    assert np.array_equal(found, np.all(alone, axis=0))
    assert 0 < found.sum() < len(samples)


@pytest.mark.parametrize("size", [7, 64])
def test_cascade_does_not_depend_on_batches(pursue, samples, size):
    found = pursue(samples, batch_size=size).survivors(TRIED, everyone(samples))
    assert np.array_equal(found, pursue(samples).survivors(TRIED, everyone(samples)))


def test_cascade_does_not_depend_on_order_or_shards(pursue, samples, rng):
    found = pursue(samples).survivors(TRIED, everyone(samples))
    for chosen in (rng.permutation(30), np.arange(3, 30, 4)):
        part = type(samples)(
            images=samples.images[chosen], labels=samples.labels[chosen], keys=samples.keys[chosen]
        )
        assert np.array_equal(pursue(part).survivors(TRIED, everyone(part)), found[chosen])


def test_survivors_fill_the_batches(pursue, samples, float_toy):
    spent = [stage.passes for stage in pursue(samples).after_each(TRIED, everyone(samples))]
    assert sum(spent) == sum(float_toy.calls)
    assert set(float_toy.calls) == {8}
    assert spent == [4 * 8 * 2, 4 * 8 * 2, 3 * 8 * 11, 3 * 8 * 11], "four batches, then three"


def test_nothing_is_spent_where_nothing_stands(pursue, samples):
    found = list(pursue(samples).after_each(TRIED, ~everyone(samples)))
    assert [stage.passes for stage in found] == [0] * len(TRIED)


def test_samples_count_their_own_passes_in_any_batch(pursue, samples):
    counts = [
        [stage.asked.tolist() for stage in pursue(samples, batch_size=size).after_each(TRIED, all_)]
        for size, all_ in ((4, everyone(samples)), (30, everyone(samples)))
    ]
    assert counts[0] == counts[1]
    assert 0 in counts[0][-1]
    assert 11 in counts[0][-1], "who stands met every step"


def test_order_by_loss_changes_the_cost_alone(pursue, samples):
    loss = -np.abs(samples.images[:, 0, 0, 0] - 127.5)
    plain, sorted_ = (
        list(pursue(samples).after_each(TRIED[3:], everyone(samples), loss=given))
        for given in (None, loss)
    )
    assert np.array_equal(plain[-1].left, sorted_[-1].left)
    assert sum(stage.passes for stage in sorted_) < sum(stage.passes for stage in plain)


def test_published_rule_counts_the_last_iterate(pursue, samples):
    last = replace(attack_named("pgd10-scaled"), estimator="exact")
    found = pursue(samples, as_published=True).survivors([last], everyone(samples))
    attempt = last(
        pursue(samples).target,
        *_tensors(samples),
        threat=AuditConfig().threat,
        keys=torch.from_numpy(samples.keys),
        seed=0,
    )
    assert np.array_equal(found, ~attempt.fooled_last.numpy())


def _tensors(samples):
    return torch.from_numpy(samples.images) / 255, torch.from_numpy(samples.labels)
