"""Seconds of one quantised forward pass of lava-dl's SLAYER, in a process of its own, as JSON."""

import json
import sys
from importlib import import_module

import torch
from harness import one_thread, timed

from spikeproof.sim.oracle.shim import import_netx

NEURON = {"threshold": 1.25, "current_decay": 1.0, "voltage_decay": 0.03}


class Network(torch.nn.Module):
    """conv16 s2 - conv32 s2 - 128 - 10 of SLAYER's CUBA blocks, which quantise to 8 bits."""

    def __init__(self) -> None:
        super().__init__()
        block = import_module("lava.lib.dl.slayer").block.cuba
        self.blocks = torch.nn.Sequential(
            block.Conv(NEURON, 3, 16, 3, stride=2, padding=1),
            block.Conv(NEURON, 16, 32, 3, stride=2, padding=1),
            block.Flatten(),
            block.Dense(NEURON, 32 * 8 * 8, 128),
            block.Dense(NEURON, 128, 10),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Spikes `[N, 10, T]` of images `[N, 3, 32, 32, T]`."""
        return self.blocks(x)


def main(batch: int, steps: int) -> None:
    """Times the forward pass."""
    one_thread()
    import_netx()
    network = Network().eval()
    x = torch.rand(batch, 3, 32, 32, 1).expand(batch, 3, 32, 32, steps).contiguous()
    with torch.no_grad():
        seconds = timed(lambda: network(x)).median
    print(json.dumps(seconds))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
