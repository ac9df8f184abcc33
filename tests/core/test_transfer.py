import pytest
import torch

from spikeproof.core.transfer import send


def test_what_is_sent_arrives_as_it_was():
    x = torch.arange(5)
    assert torch.equal(send(x, torch.device("cpu")), x)


@pytest.mark.gpu
def test_sending_to_a_device_waits_for_nothing():
    x = torch.arange(5)
    torch.cuda.set_sync_debug_mode("error")
    try:
        there = send(x, torch.device("cuda"))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(there.cpu(), x)
