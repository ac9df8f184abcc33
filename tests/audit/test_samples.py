import numpy as np
import pytest
import torch

from spikeproof.attacks.lattice import snap
from spikeproof.audit.samples import Samples
from spikeproof.core.errors import DataError

CPU = torch.device("cpu")


def test_batches_hold_every_sample_once(samples):
    batches = list(samples.batches(8, device=CPU))
    assert [batch.count for batch in batches] == [8, 8, 8, 6]
    keys = torch.cat([batch.keys[: batch.count] for batch in batches])
    assert keys.tolist() == list(range(30))


def test_batches_are_padded_with_their_first_sample(samples):
    last = samples.batch(3, 8, device=CPU)
    assert last.keys.tolist() == [24, 25, 26, 27, 28, 29, 24, 24]
    assert torch.equal(last.images[6], last.images[0])


def test_batches_are_on_the_lattice(samples):
    batch = samples.batch(0, 8, device=CPU)
    assert torch.equal(snap(batch.images), batch.images)
    assert np.array_equal((batch.images * 255).numpy().round(), samples.images[:8])


def test_where_keeps_names_with_images(samples):
    chosen = samples.where(samples.labels == 1)
    assert np.array_equal(chosen.keys, np.arange(1, 30, 2))
    assert np.array_equal(chosen.images, samples.images[1::2])


@pytest.mark.parametrize("count", [1, 30, 99])
def test_first_takes_what_there_is(samples, count):
    assert len(samples.first(count)) == min(count, 30)


def test_samples_that_do_not_fit_are_refused(samples):
    with pytest.raises(DataError, match="29 labels"):
        Samples(images=samples.images, labels=samples.labels[1:], keys=samples.keys)


def test_no_samples_are_refused(samples):
    with pytest.raises(DataError, match="one image at least"):
        samples.where(np.zeros(30, dtype=bool))


def test_repeated_samples_are_refused(samples):
    with pytest.raises(DataError, match="each sample once"):
        Samples(images=samples.images, labels=samples.labels, keys=samples.keys * 0)


def test_right_is_what_the_model_answers_rightly(samples, float_toy):
    bright = samples.images[:, 0, 0, 0] > 127.5
    found = samples.right(float_toy, size=8, device=CPU)
    assert np.array_equal(found, bright == (samples.labels == 1))
