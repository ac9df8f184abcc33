"""NIR files that other frameworks write of their own networks; a process of its own runs this.

    foreign_writers.py NAME FOLDER

The K-th file of a framework is `NAME.K.nir`; `NAME.K.npz` holds a `train` [T, N, *shape] and the
`outputs` [T, N, K] of the network that it was written from, or the `error`. Only what the framework
itself needs is imported.
"""

# pyright: reportMissingImports=false
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from foreign_readers import attempt, stepwise

STEPS, BATCH, INPUTS, HIDDEN, CLASSES = 12, 5, 6, 9, 3
MAP = (2, 6, 8)
THETA, DECAY = 0.7, 0.75

Run = Callable[[torch.Tensor], torch.Tensor]
"""Outputs [T, N, K] of a train [T, N, *shape]."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """A network of a framework, in its usual settings where nothing else is said.

    Args:
        title: What it is.
        write: Writes it to a path, given a sample `[N, *shape]`; how it runs.
        given: What NIR leaves open, as `spikeproof simulate` is to be told.
        shape: Of its input.
    """

    title: str
    write: Callable[[Path, torch.Tensor], Run]
    given: Mapping[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] = (INPUTS,)


def spikingjelly(path: Path, sample: torch.Tensor) -> Run:
    """Hard reset, the input not decayed."""
    import nir
    from spikingjelly.activation_based import functional, neuron
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    neurons = neuron.LIFNode(tau=1 / (1 - DECAY), decay_input=False, v_threshold=THETA, v_reset=0.0)
    network = dense(neurons)
    nir.write(path, export_to_nir(network, sample, dt=1.0))
    functional.reset_net(network)
    return lambda train: torch.stack([network(x) for x in train])


def snntorch(path: Path, sample: torch.Tensor, *, reset: str) -> Run:
    """One value a neuron, as nir refuses what is not of the layer's shape."""
    import nir
    import snntorch
    from snntorch.export_nir import export_to_nir

    neurons = snntorch.Leaky(
        beta=torch.full((HIDDEN,), DECAY),
        threshold=torch.full((HIDDEN,), THETA),
        init_hidden=True,
        reset_mechanism=reset,
        reset_delay=False,
    )
    network = dense(neurons)
    nir.write(path, export_to_nir(network, sample[0]))
    neurons.reset_mem()
    return lambda train: torch.stack([network(x) for x in train])


def norse(path: Path, sample: torch.Tensor) -> Run:
    """The LIF box, whose dt·tau_mem_inv is 1 − λ."""
    import nir
    import norse.torch as norse

    parameters = norse.LIFBoxParameters(
        tau_mem_inv=torch.tensor((1 - DECAY) / 0.001), v_th=torch.tensor(THETA / 4)
    )
    network = norse.SequentialState(*parts(norse.LIFBoxCell(parameters, dt=0.001)))
    nir.write(path, norse.to_nir(network, sample))
    return lambda train: stepwise(network, train)


def sinabs_dense(path: Path, sample: torch.Tensor, *, spikes: str) -> Run:
    """Integrate and fire with reset by subtraction."""
    return sinabs_run(path, sample, lambda neurons: parts(neurons()), spikes)


def sinabs_maps(path: Path, sample: torch.Tensor, *, spikes: str) -> Run:
    """Convolutions, summed windows and a flatten."""
    from sinabs.layers import SumPool2d

    channels, height, width = MAP
    return sinabs_run(
        path,
        sample,
        lambda neurons: (
            torch.nn.Conv2d(channels, 4, 3, padding=1),
            neurons(),
            SumPool2d(2),
            torch.nn.Conv2d(4, 5, (3, 2), bias=False),
            neurons(),
            torch.nn.Flatten(),
            torch.nn.Linear(5 * (height // 2 - 2) * (width // 2 - 1), CLASSES),
        ),
        spikes,
    )


def sinabs_run(path: Path, sample: torch.Tensor, build: Callable[..., Any], spikes: str) -> Run:
    """Steps and batch share the first axis there, so samples run one by one."""
    import nir
    import sinabs.activation
    import sinabs.layers
    import sinabs.nir

    how = {"spike_fn": getattr(sinabs.activation, spikes), "spike_threshold": torch.tensor(THETA)}
    network = torch.nn.Sequential(*build(partial(sinabs.layers.IAFSqueeze, batch_size=1, **how)))
    graph = sinabs.nir.to_nir(network, sample[:1])
    graph.infer_types()  # else nir cannot write convolutions, of which Sinabs says no size
    nir.write(path, graph)

    neurons: list[Any] = [m for m in network if isinstance(m, sinabs.layers.IAFSqueeze)]

    def run(train: torch.Tensor) -> torch.Tensor:
        outputs = []
        for each in train.unbind(1):
            for layer in neurons:
                layer.reset_states()
            outputs.append(network(each))
        return torch.stack(outputs, dim=1)

    return run


def rockpool(path: Path, sample: torch.Tensor, *, most: float) -> Run:
    """LIF with a synapse and reset by subtraction; at most so many spikes a step."""
    del sample  # as Rockpool's own is made
    import nir
    from rockpool.nn.combinators import Sequential
    from rockpool.nn.modules import LIFTorch, LinearTorch
    from rockpool.nn.modules.torch.nir import to_nir

    neurons = LIFTorch((HIDDEN,), max_spikes_per_dt=torch.tensor(most))
    network = Sequential(LinearTorch((INPUTS, HIDDEN)), neurons, LinearTorch((HIDDEN, CLASSES)))
    nir.write(path, to_nir(network))
    return lambda train: network(train.transpose(0, 1))[0].transpose(0, 1)


SUBTRACTS = {"dt": 1.0, "reset": "subtract"}
WRITERS: dict[str, tuple[Written, ...]] = {
    "spikingjelly": (Written(title="LIF", write=spikingjelly, given={"dt": 1.0, "reset": "zero"}),),
    "snntorch": (
        Written(
            title="Leaky, reset to zero",
            write=partial(snntorch, reset="zero"),
            given={"dt": 1e-4, "reset": "zero"},
        ),
        Written(
            title="Leaky, reset by subtraction",
            write=partial(snntorch, reset="subtract"),
            given={"dt": 1e-4, "reset": "subtract"},
        ),
    ),
    "norse": (Written(title="LIF box", write=norse, given={"dt": 1e-3, "reset": "zero"}),),
    "sinabs": (
        Written(
            title="IAF, several spikes a step",
            write=partial(sinabs_dense, spikes="MultiSpike"),
            given=SUBTRACTS,
        ),
        Written(
            title="IAF, one spike a step",
            write=partial(sinabs_dense, spikes="SingleSpike"),
            given=SUBTRACTS,
        ),
        Written(
            title="convolutions, SumPool2d and IAF, one spike a step",
            write=partial(sinabs_maps, spikes="SingleSpike"),
            given=SUBTRACTS,
            shape=MAP,
        ),
    ),
    "rockpool": (
        Written(
            title="LIF, several spikes a step",
            write=partial(rockpool, most=2.0**16),
            given={"dt": 1e-3, "reset": "subtract", "integration": "exponential"},
        ),
        Written(
            title="LIF, one spike a step",
            write=partial(rockpool, most=1.0),
            given={"dt": 1e-3, "reset": "subtract", "integration": "exponential"},
        ),
    ),
}


def parts(neurons: Any) -> tuple[Any, ...]:
    """Neurons between two dense layers."""
    return torch.nn.Linear(INPUTS, HIDDEN), neurons, torch.nn.Linear(HIDDEN, CLASSES)


def dense(neurons: Any) -> torch.nn.Sequential:
    """The same as one network."""
    return torch.nn.Sequential(*parts(neurons))


def write(written: Written, path: Path) -> dict[str, np.ndarray]:
    """One file, and what its network does."""
    torch.manual_seed(0)
    train = torch.rand(STEPS, BATCH, *written.shape) * 2
    run = written.write(path, train[0])
    return {"train": train.numpy(), "outputs": run(train).numpy()}


def main(name: str, folder: Path) -> None:
    """Writes all files of a framework."""
    with torch.no_grad():
        for k, written in enumerate(WRITERS[name]):
            path = folder / f"{name}.{k}"
            attempt(partial(write, written, Path(f"{path}.nir")), Path(f"{path}.npz"))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
