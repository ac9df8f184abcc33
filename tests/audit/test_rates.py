import pytest
import torch

from spikeproof.audit.rates import mean_rates


def test_rates_are_means_over_samples(samples):
    def meter(images):
        return {"late": 1.0, "early": float(images.mean())}

    found = mean_rates(meter, samples, batch_size=8, device=torch.device("cpu"))
    assert [row["layer"] for row in found] == ["late", "early"]
    assert found[0]["rate"] == pytest.approx(1.0)
    assert found[1]["rate"] == pytest.approx(samples.images.mean() / 255)


def test_rates_are_measured_without_padding(samples):
    seen = []
    meter = lambda images: seen.append(len(images)) or {"layer": 0.5}  # noqa: E731
    mean_rates(meter, samples, batch_size=8, device=torch.device("cpu"))
    assert seen == [8, 8, 8, 6]
