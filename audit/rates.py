"""How often neurons fire, layer by layer, on clean images."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from .samples import Samples

RateMeter = Callable[[Tensor], Mapping[str, float]]
"""Images `[N, C, H, W]` in [0, 1] to spikes a neuron and step of each layer, 0 to 1, in order."""


def mean_rates(
    meter: RateMeter, samples: Samples, *, batch_size: int, device: torch.device
) -> list[dict[str, Any]]:
    """Mean rate of each layer over all samples, `{"layer", "rate"}`, in the order of the layers."""
    sums: dict[str, float] = {}
    with torch.no_grad():
        for batch in samples.batches(batch_size, device=device):
            # The padding is cut off: it would count its sample more than once.
            for layer, rate in meter(batch.images[: batch.count]).items():
                sums[layer] = sums.get(layer, 0.0) + float(rate) * batch.count
    return [{"layer": layer, "rate": total / len(samples)} for layer, total in sums.items()]
