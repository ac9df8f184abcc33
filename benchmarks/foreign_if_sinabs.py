"""Trains integrate-and-fire neurons on N-MNIST with Sinabs, and lets Sinabs write the NIR file.

    foreign_if_sinabs.py FRAMES.npz OUT.nir EPOCHS

FRAMES.npz holds counts of events uint8 [N, T, 2, 34, 34] as `learn`, `held` and `test`, and
`labels` of `learn`. What Sinabs makes of `held` and `test` is written beside OUT.nir as `.npz`.
Only what Sinabs itself needs is imported; it runs in a process of its own, with its own nir.
"""

# pyright: reportMissingImports=false
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

BATCH, RATE, SEED, CALL = 10, 2e-3, 0, 20
GAIN = 3.0
"""Of the weights that torch draws: else nothing fires at first."""
ZERO = torch.zeros(())


def network() -> nn.Sequential:
    """Two convolutions and a dense layer, summed windows behind each; a class is counted spikes.

    Neurons fire once a step at most and are set to zero then, as NIR's and a chip's are; Sinabs's
    own default fires several times and subtracts.
    """
    from sinabs.activation import MembraneReset, SingleSpike
    from sinabs.layers import IAFSqueeze, SumPool2d

    neurons = partial(IAFSqueeze, batch_size=1, spike_fn=SingleSpike, reset_fn=MembraneReset())
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, stride=2, bias=False),
        neurons(),
        SumPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1, bias=False),
        neurons(),
        SumPool2d(2),
        nn.Flatten(),
        nn.Linear(256, 10, bias=False),
        neurons(),
    )


def counts(model: nn.Sequential, frames: torch.Tensor) -> torch.Tensor:
    """Spikes of the last neurons over all steps `[N, 10]`, of frames `[N, T, 2, 34, 34]`."""
    from sinabs.layers import IAFSqueeze

    layers: list[Any] = [m for m in model if isinstance(m, IAFSqueeze)]
    for layer in layers:
        layer.batch_size = len(frames)
        layer.reset_states()
    # A few steps at a time, the state kept: Sinabs's backward pass is quadratic in those of a call.
    parts = [part.flatten(0, 1).float() for part in frames.split(CALL, dim=1)]
    return sum((model(part).unflatten(0, (len(frames), -1)).sum(1) for part in parts), start=ZERO)


def train(model: nn.Sequential, frames: torch.Tensor, labels: torch.Tensor, epochs: int) -> None:
    """Backpropagation through time, with Sinabs's own surrogate."""
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        begun, right = time.process_time(), 0
        for chosen in torch.randperm(len(frames)).split(BATCH):
            found = counts(model, frames[chosen])
            loss = nn.functional.cross_entropy(found / 4, labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right += int((found.argmax(1) == labels[chosen]).sum())
        schedule.step()
        seconds = time.process_time() - begun
        print(f"epoch {epoch + 1}: {right} of {len(frames)} right, {seconds:.0f} s", flush=True)


def write(model: nn.Sequential, path: Path, sample: torch.Tensor) -> None:
    """Sinabs's own exporter; it states no size of a convolution, without which nir writes none."""
    import nir
    import sinabs.nir

    counts(model, sample)
    graph: Any = sinabs.nir.to_nir(model, sample[0].float())
    graph.infer_types()
    nir.write(path, graph)


def main(frames: Path, out: Path, epochs: int) -> None:
    """Trains, writes and classifies."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    with np.load(frames) as found:
        arrays = {name: torch.from_numpy(found[name]) for name in found}
    model = network()
    with torch.no_grad():  # layers take their shapes from what they see first
        counts(model, arrays["test"][:1])
    for layer in model:  # not of neurons, whose thresholds are parameters too
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.weight.data *= GAIN
    train(model, arrays["learn"], arrays["labels"], epochs)
    with torch.no_grad():
        write(model, out, arrays["test"][:1])
        said = {
            name: torch.cat([counts(model, part) for part in arrays[name].split(BATCH)]).numpy()
            for name in ("held", "test")
        }
    np.savez(out.with_suffix(".npz"), **said)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
