import pytest
import torch
from torch import nn

from spikeproof.train.pooling import pooled

LAYER = nn.AvgPool2d(2)


def maps(*, is_binary: bool) -> torch.Tensor:
    x = torch.rand((3, 4, 6, 10), generator=torch.Generator().manual_seed(1))
    return (x < 0.3).float() if is_binary else x


def test_spikes_are_pooled_to_the_last_bit():
    x = maps(is_binary=True)
    assert torch.equal(pooled(LAYER, x), LAYER(x))


@pytest.mark.parametrize(
    "layer", [LAYER, nn.AvgPool2d(3, 1), nn.AvgPool2d(2, padding=1), nn.AvgPool2d((2, 1))]
)
@pytest.mark.parametrize("size", [(6, 10), (5, 10), (6, 7)])
def test_other_maps_and_their_gradients_are_pooled_as_torch_does(layer, size):
    x = maps(is_binary=False)[:, :, : size[0], : size[1]].contiguous().double().requires_grad_()
    ours, theirs = pooled(layer, x), layer(x)
    torch.testing.assert_close(ours, theirs, rtol=0.0, atol=1e-15)
    weights = torch.linspace(-1.0, 1.0, theirs.numel(), dtype=x.dtype).view(theirs.shape)
    (a,), (b,) = (torch.autograd.grad((y * weights).sum(), x) for y in (ours, theirs))
    torch.testing.assert_close(a, b, rtol=0.0, atol=1e-15)


def test_channels_last_stays_channels_last():
    x = maps(is_binary=True).contiguous(memory_format=torch.channels_last)
    assert pooled(LAYER, x).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(pooled(LAYER, x), LAYER(x))
