"""What one other framework makes of NIR files, and writes as one; a process of its own runs this.

    foreign_readers.py NAME FOLDER

Of each `K.nir` in FOLDER with `K.npz` (`train` [T, N, *shape] and `dt`), `K.NAME.npz` gets the
`outputs` [T, N, K]; `NAME.nir` is a file of the framework's own, `NAME.npz` its train and outputs.
What goes wrong is written as `error`. Only what the framework itself needs is imported.
"""

# pyright: reportMissingImports=false
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

STEPS, BATCH, INPUTS, HIDDEN, CLASSES = 12, 5, 6, 9, 3
THETA = 0.7
DECAY = 0.75


def snntorch_reads(path: Path, train: torch.Tensor, dt: float) -> torch.Tensor:
    """Takes no time step: it assumes 1e-4."""
    import nir
    from snntorch.import_nir import import_from_nir

    del dt
    return stepwise(import_from_nir(nir.read(path)), train)


def spikingjelly_reads(path: Path, train: torch.Tensor, dt: float) -> torch.Tensor:
    """Takes the time step."""
    import nir
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return stepwise(import_from_nir(nir.read(path), dt=dt), train)


def norse_reads(path: Path, train: torch.Tensor, dt: float) -> torch.Tensor:
    """Takes the time step."""
    import nir
    import norse.torch

    return stepwise(norse.torch.from_nir(nir.read(path), dt=dt), train)


def sinabs_reads(path: Path, train: torch.Tensor, dt: float) -> torch.Tensor:
    """Takes no time step: its own is 1; steps and batch share the first axis, batch first."""
    import nir
    import sinabs.nir

    del dt
    network = sinabs.nir.from_nir(nir.read(path), batch_size=train.shape[1])
    found = network(train.transpose(0, 1).flatten(0, 1))
    found = found[0] if isinstance(found, tuple) else found
    return found.unflatten(0, (train.shape[1], train.shape[0])).transpose(0, 1)


def rockpool_reads(path: Path, train: torch.Tensor, dt: float) -> torch.Tensor:
    """Takes no time step: its own is 1e-3; batch first."""
    import nir
    from rockpool.nn.modules.torch.nir import from_nir

    del dt
    found = from_nir(nir.read(path))(train.transpose(0, 1))
    return (found[0] if isinstance(found, tuple) else found).transpose(0, 1)


READERS: dict[str, Callable[[Path, torch.Tensor, float], torch.Tensor]] = {
    "spikingjelly": spikingjelly_reads,
    "snntorch": snntorch_reads,
    "norse": norse_reads,
    "sinabs": sinabs_reads,
    "rockpool": rockpool_reads,
}


UNBATCHED = ("spikingjelly", "snntorch", "norse")
"""Those that are called step by step, so that a sample can go in alone."""


def stepwise(network: Any, train: torch.Tensor) -> torch.Tensor:
    """Outputs of a network that is called step by step, as `(output, state)` or without state."""
    state, outputs = None, []
    for x in train:
        found = network(x, state)
        output, state = found if isinstance(found, tuple) else (found, None)
        outputs.append(output)
    return torch.stack(outputs)


def snntorch_writes(path: Path, sample: torch.Tensor) -> Any:
    """Reset to zero, as only that is what NIR says."""
    import nir
    import snntorch
    from snntorch.export_nir import export_to_nir

    neurons = snntorch.Leaky(
        beta=torch.full((HIDDEN,), DECAY),  # nir refuses what is not of the layer's shape
        threshold=torch.full((HIDDEN,), THETA),
        init_hidden=True,
        reset_mechanism="zero",
        reset_delay=False,
    )
    network = torch.nn.Sequential(first(), neurons, last())
    nir.write(path, export_to_nir(network, sample[0]))
    neurons.reset_mem()
    return lambda train: torch.stack([network(x) for x in train])


def spikingjelly_writes(path: Path, sample: torch.Tensor) -> Any:
    """Hard reset, the input not decayed."""
    import nir
    from spikingjelly.activation_based import functional, neuron
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    neurons = neuron.LIFNode(tau=1 / (1 - DECAY), decay_input=False, v_threshold=THETA, v_reset=0.0)
    network = torch.nn.Sequential(first(), neurons, last())
    nir.write(path, export_to_nir(network, sample, dt=1.0))
    functional.reset_net(network)
    return lambda train: torch.stack([network(x) for x in train])


def norse_writes(path: Path, sample: torch.Tensor) -> Any:
    """The LIF box, whose dt·tau_mem_inv is 1 − λ."""
    import nir
    import norse.torch as norse

    parameters = norse.LIFBoxParameters(
        tau_mem_inv=torch.tensor((1 - DECAY) / 0.001), v_th=torch.tensor(THETA / 4)
    )
    network = norse.SequentialState(first(), norse.LIFBoxCell(parameters, dt=0.001), last())
    nir.write(path, norse.to_nir(network, sample))
    return lambda train: stepwise(network, train)


def sinabs_writes(path: Path, sample: torch.Tensor) -> Any:
    """Integrate and fire, which subtracts and may fire several times a step."""
    import nir
    import sinabs.layers as layers
    import sinabs.nir

    neurons: Any = layers.IAFSqueeze(batch_size=1, spike_threshold=torch.tensor(THETA))
    network = torch.nn.Sequential(first(), neurons, last())
    nir.write(path, sinabs.nir.to_nir(network, sample[:1]))

    def run(train: torch.Tensor) -> torch.Tensor:
        outputs = []
        for each in train.unbind(1):
            neurons.reset_states()
            outputs.append(network(each))
        return torch.stack(outputs, dim=1)

    return run


def rockpool_writes(path: Path, sample: torch.Tensor) -> Any:
    """LIF with a synapse, which subtracts."""
    import nir
    from rockpool.nn.combinators import Sequential
    from rockpool.nn.modules import LIFTorch, LinearTorch
    from rockpool.nn.modules.torch.nir import to_nir

    network = Sequential(
        LinearTorch((INPUTS, HIDDEN)), LIFTorch((HIDDEN,)), LinearTorch((HIDDEN, CLASSES))
    )
    nir.write(path, to_nir(network, sample[:, None]))
    return lambda train: network(train.transpose(0, 1))[0].transpose(0, 1)


WRITERS: dict[str, Callable[[Path, torch.Tensor], Any]] = {
    "spikingjelly": spikingjelly_writes,
    "snntorch": snntorch_writes,
    "norse": norse_writes,
    "sinabs": sinabs_writes,
    "rockpool": rockpool_writes,
}


def first() -> torch.nn.Linear:
    """From inputs to neurons."""
    return torch.nn.Linear(INPUTS, HIDDEN)


def last() -> torch.nn.Linear:
    """From neurons to what is read."""
    return torch.nn.Linear(HIDDEN, CLASSES)


def attempt(call: Callable[[], dict[str, np.ndarray]], path: Path) -> None:
    """Writes what a call gives, or how it failed: any exception is a finding here."""
    try:
        found = call()
    except Exception as error:  # noqa: BLE001
        message = str(error).strip().splitlines() or [""]
        found = {"error": np.array(f"{type(error).__name__}: {message[0][:140]}")}
    np.savez(path, **found)  # type: ignore[arg-type]


def read(name: str, model: Path) -> dict[str, np.ndarray]:
    """One of our files, run: in a batch, or else sample by sample, as some keep no batch axis."""
    given = np.load(model.with_suffix(".npz"))
    train, dt = torch.from_numpy(given["train"]).float(), float(given["dt"])
    try:
        found, how = READERS[name](model, train, dt), "in a batch"
    except Exception:
        if name not in UNBATCHED:
            raise
        each = [READERS[name](model, sample, dt).flatten(1) for sample in train.unbind(1)]
        found, how = torch.stack(each, dim=1), "only without a batch axis"
    return {"outputs": found.numpy(), "how": np.array(how)}


def write(name: str, folder: Path) -> dict[str, np.ndarray]:
    """One file of its own, and what it does."""
    torch.manual_seed(0)
    train = torch.rand(STEPS, BATCH, INPUTS) * 2
    run = WRITERS[name](folder / f"{name}.nir", train[0])
    return {"train": train.numpy(), "outputs": run(train).numpy()}


def main(name: str, folder: Path) -> None:
    """Reads all files, and writes one."""
    with torch.no_grad():
        for model in sorted(folder.glob("[0-9].nir")):
            attempt(partial(read, name, model), folder / f"{model.stem}.{name}.npz")
        attempt(partial(write, name, folder), folder / f"{name}.npz")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
