import numpy as np
import pytest
import torch

from spikeproof.analysis.gradients import label_gradient
from spikeproof.analysis.measure import (
    common_edges,
    density,
    first_test_samples,
    heatmap,
    measure_gradients,
    measure_vulnerability,
)
from spikeproof.analysis.vulnerability import VulnerabilityConfig
from spikeproof.datasets.images import load


def test_gradients_of_batches_are_those_of_the_whole(linear, samples):
    whole = label_gradient(linear, samples.images, samples.labels)
    torch.testing.assert_close(measure_gradients(linear, samples), whole)


def test_vulnerability_is_measured_at_every_sample(linear, samples):
    config = VulnerabilityConfig(epsilon=0.002, draws=200, steps=2)
    found, sizes = measure_vulnerability(linear, samples, config)
    slope = linear.slope(samples.images, samples.labels).flatten(1)
    # f bends a little within the ball: it is the sigmoid of a linear function.
    torch.testing.assert_close(found.adversarial, (0.002 * sizes.l1) ** 2, rtol=0.05, atol=0)
    torch.testing.assert_close(
        found.random.mean(), (0.002**2 * slope.square().sum(1) / 3).mean(), rtol=0.1, atol=0
    )


def test_samples_are_the_first_of_the_official_test_order():
    data = load("digits", limit=40)
    chosen = first_test_samples(data, 7, device="cpu")
    assert torch.equal((chosen.images * 255).round().byte(), torch.tensor(data.test_images[:7]))
    assert chosen.labels.tolist() == data.test_labels[:7].tolist()


def test_density_is_the_share_in_each_bin():
    row = density(torch.tensor([[0.0, 0.5, -0.5, 0.0], [9.0, 0.4, 0.0, 0.0]]), edges=EDGES)
    np.testing.assert_allclose(np.array(row["density"]) * 0.4, [1 / 8, 4 / 8, 2 / 8])
    assert row["share_within"] == pytest.approx(7 / 8)
    assert row["share_zero"] == 0.5


EDGES = np.array([-0.6, -0.2, 0.2, 0.6])


def test_edges_hold_nearly_all_of_the_widest_network():
    wide, narrow = torch.linspace(-2, 2, 10_001)[None], torch.linspace(-1, 1, 10_001)[None]
    edges = common_edges([wide, narrow])
    assert (len(edges), edges[-1]) == (102, pytest.approx(2, rel=2e-3))
    assert density(wide, edges=edges)["share_within"] == pytest.approx(0.999, abs=1e-4)
    assert not (np.abs(edges) < 1e-9).any()


def test_heatmap_adds_up_channels():
    gradient = torch.tensor([[[[1.0, -2.0]], [[-3.0, 0.5]]]])
    assert heatmap(gradient).tolist() == [[[4.0, 2.5]]]
