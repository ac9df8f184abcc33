import torch

from spikeproof.attacks.suite import ATTACKS
from spikeproof.core.randomness import generator


def test_noise_adds_whole_levels_drawn_for_the_sample(toy, batch, threat):
    found = ATTACKS["noise"](toy, **batch, threat=threat, seed=3).last
    for image, key, noisy in zip(batch["images"], batch["keys"].tolist(), found, strict=True):
        draw = generator(3, "noise", "", 0, key).integers(-8, 9, tuple(image.shape))
        expected = ((image * 255).round() + torch.from_numpy(draw)).clamp(0, 255)
        assert torch.equal((noisy * 255).round(), expected)
