"""How many samples a second does the twin compute against Lava and lava-dl's SLAYER?"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from harness import Goal, one_thread, report, timed
from networks import SMALL, SOURCE, network

from spikeproof.sim.classifier import TwinClassifier
from spikeproof.sim.lava import LavaRequest, run_lava
from spikeproof.sim.netx_write import write_netx
from spikeproof.sim.parity import back_to_back
from spikeproof.sim.program import Program

STEPS, BATCH, MANY = 8, 64, 25
IMPORT = "from spikeproof.sim.lava_shim import import_netx; import_netx()"


def images(count: int) -> torch.Tensor:
    """Images in [0, 1]."""
    return torch.rand(count, *SOURCE.shape, generator=torch.Generator().manual_seed(0))


def lava_seconds(program: Program, samples: int) -> float:
    """Wall time of one Lava run of so many samples, a periodic reset between them."""
    payload = TwinClassifier(program).payload(images(samples)).long().numpy()
    train, clock = back_to_back(program, payload)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.net"
        write_netx(path, program)
        request = LavaRequest(
            network=path,
            steps=clock.steps,
            x=train,
            reset_interval=clock.reset_interval,
            reset_offset=clock.reset_offset,
            input_message_bits=SOURCE.message_bits,
        )
        start = time.perf_counter()
        run_lava(request, trace=False)
        return time.perf_counter() - start


def import_seconds() -> float:
    """Wall time of a process that only imports Lava, which is not counted against it."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", IMPORT], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def slayer_seconds() -> float:
    """Wall time of one forward pass of SLAYER."""
    script = Path(__file__).parent / "slayer_timing.py"
    command = [sys.executable, str(script), str(BATCH), str(STEPS)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measures all three, the twin before and after the others."""
    one_thread()
    program = network(SMALL, (128,), steps=STEPS)
    twin, given = TwinClassifier(program), images(BATCH)

    def seconds_of_twin() -> float:
        with torch.no_grad():
            return timed(lambda: twin(given), repeats=21).median / BATCH

    before = seconds_of_twin()
    loading, one, many = import_seconds(), lava_seconds(program, 1), lava_seconds(program, MANY)
    slayer = slayer_seconds() / BATCH
    seconds = {
        "twin": max(before, seconds_of_twin()),
        "Lava, a run per sample": one - loading,
        "Lava, steady": (many - one) / (MANY - 1),
        "SLAYER": slayer,
    }
    limits = {"Lava, a run per sample": 1000.0, "Lava, steady": 200.0, "SLAYER": 3.0}
    goals = [
        Goal(name=f"times as fast as {name}", ratio=seconds[name] / seconds["twin"], at_least=limit)
        for name, limit in limits.items()
    ]
    details = {"seconds per sample": seconds, "seconds to import Lava": loading}
    report("bench_twin_vs_lava", goals=goals, details=details)


if __name__ == "__main__":
    main()
