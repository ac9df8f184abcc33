"""Models whose gradients are hidden in known ways raise alarms; the same one unmasked does not."""

import pytest
import torch

from spikeproof.audit.config import AuditConfig
from spikeproof.audit.plan import Plan
from spikeproof.audit.validate import run
from spikeproof.datasets.images import load
from spikeproof.tests.audit.planted import Planted, trained

N = 100


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.fixture(scope="module")
def network(digits):
    images = torch.from_numpy(digits.train_images).to(torch.float32) / 255
    return trained(images, torch.from_numpy(digits.train_labels), seed=0)


@pytest.fixture
def audit(digits, network, tmp_path):
    """Audits the network behind a mask, on both sides, so that neither gives the other away."""

    def audit(mask):
        model = Planted(network, mask)
        config = AuditConfig(epsilon=0.1, batch_size=N, curve=(0, 25, 128, 255), continuous=False)
        return run(
            Plan.of(
                config,
                float_target=model,
                hardware_target=model,
                images=digits.test_images[:N],
                labels=digits.test_labels[:N],
            ),
            out=tmp_path / "audit.json",
            context={},
        ).audit

    return audit


def raised(audit):
    return {alarm["name"] for alarm in audit["alarms"] if alarm["raised"]}


def test_a_sound_model_raises_no_alarm(audit):
    found = audit("sound")
    assert raised(found) == set()
    assert found["robust"]["float_on_float"]["value"] < 0.45


@pytest.mark.parametrize(
    ("mask", "telltale"),
    [
        ("flipped", "gradient_misleads"),
        ("shattered", "gradient_misleads"),
        ("cut", "zero_gradients"),
        ("saturated", "zero_gradients"),
    ],
)
def test_a_masked_model_raises_three_alarms(audit, mask, telltale):
    found = audit(mask)
    assert found["robust"]["float_on_float"]["value"] > 0.75, "the mask hides what breaks it"
    assert len(raised(found)) >= 3
    assert raised(found) >= {telltale, "search_beats_gradients", "noise_as_strong_as_fgsm"}
