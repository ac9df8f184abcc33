"""What one other framework makes of our NIR files; a process of its own runs this.

    foreign_readers.py NAME FOLDER

Of each `K.nir` in FOLDER with `K.npz` (`train` [T, N, *shape] and `dt`), `K.NAME.npz` gets the
`outputs` [T, N, K]. What goes wrong is written as `error`. Only what the framework itself needs is
imported.
"""

# pyright: reportMissingImports=false
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch


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


def main(name: str, folder: Path) -> None:
    """Reads all files."""
    with torch.no_grad():
        for model in sorted(folder.glob("[0-9].nir")):
            attempt(partial(read, name, model), folder / f"{model.stem}.{name}.npz")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
