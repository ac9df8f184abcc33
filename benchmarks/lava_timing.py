"""Seconds of Lava runs, from building the network to its end: a process of its own, as JSON."""

import json
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np

from spikeproof.sim.oracle.cleanup import name_shared_memory
from spikeproof.sim.oracle.shim import import_netx


def seconds_of(network: Path, train: np.ndarray, *, interval: int, offset: int, bits: int) -> float:
    """One run with Lava's fixed-point models, without the import of Lava."""
    netx, simulation = import_netx(), import_module("lava.magma.core.run_configs").Loihi2SimCfg
    until = import_module("lava.magma.core.run_conditions").RunSteps
    start = time.perf_counter()
    net = netx.Network(
        net_config=str(network),
        reset_interval=interval,
        reset_offset=offset,
        input_message_bits=bits,
    )
    import_module("lava.proc.io.source").RingBuffer(data=train).s_out.connect(net.inp)
    net.run(condition=until(num_steps=train.shape[-1]), run_cfg=simulation(select_tag="fixed_pt"))
    net.stop()
    return time.perf_counter() - start


def main(folder: Path) -> None:
    """Times what `request.json` lists, in its order."""
    request = json.loads((folder / "request.json").read_text())
    name_shared_memory(request["token"])
    clock = {key: request[key] for key in ("interval", "offset", "bits")}
    found = [
        seconds_of(folder / "model.net", np.load(folder / train), **clock)
        for train in request["trains"]
    ]
    (folder / "seconds.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
