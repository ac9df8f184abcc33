import numpy as np
import torch

from spikeproof.sim.float_parts import split


def test_only_channels_that_need_it_are_split():
    weight = np.full((5, 4, 3, 3), 100)
    weight[[1, 4]] = 5000
    whole, rest = split(weight, peak=3, groups=1, device=torch.device("cpu"))
    assert isinstance(rest.channels, torch.Tensor)
    assert rest.channels.tolist() == [1, 4]
    assert torch.equal(whole.weight[[0, 2, 3]], torch.full((3, 4, 3, 3), 100.0))
