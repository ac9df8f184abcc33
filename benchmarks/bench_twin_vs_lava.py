"""How many samples a second does the twin compute against Lava and lava-dl's SLAYER?"""

import json
import secrets
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from harness import Goal, one_thread, report, timed
from networks import SMALL, SOURCE, network

from spikeproof.sim.classifier import TwinClassifier
from spikeproof.sim.netx.write import write_netx
from spikeproof.sim.oracle.cleanup import end_session
from spikeproof.sim.parity import OFFSET, back_to_back
from spikeproof.sim.program import Program

STEPS, BATCH, SINGLE, MANY = 8, 64, 4, 25
"""Steps, the twin's batch, Lava runs of one sample, samples of one long Lava run."""
TIMEOUT = 600.0


def images(count: int) -> torch.Tensor:
    """Images in [0, 1]."""
    return torch.rand(count, *SOURCE.shape, generator=torch.Generator().manual_seed(0))


def lava_seconds(program: Program) -> tuple[float, float]:
    """Of a run of one sample, and of each further sample of a long run with a periodic reset."""
    twin, token = TwinClassifier(program), f"bench-{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_netx(folder / "model.net", program)
        for samples in (1, MANY):
            payload = twin.payload(images(samples)).long().numpy()
            train, _ = back_to_back(program, payload)
            np.save(folder / f"{samples}.npy", train)
        trains = [f"{samples}.npy" for samples in (*[1] * SINGLE, MANY)]
        clock = {"interval": STEPS, "offset": OFFSET, "bits": SOURCE.message_bits}
        (folder / "request.json").write_text(json.dumps(clock | {"trains": trains, "token": token}))
        _run_apart("lava_timing.py", folder, token=token)
        *single, many = json.loads((folder / "seconds.json").read_text())
    one = statistics.median(single[1:])  # the first also loads what Lava imports late
    return one, (many - one) / (MANY - 1)


def _run_apart(script: str, folder: Path, *, token: str) -> None:
    """A script in a session of its own, of which nothing is left."""
    command = [sys.executable, str(Path(__file__).parent / script), str(folder)]
    log = folder / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True)
    try:
        code = process.wait(TIMEOUT)
    finally:
        end_session(process.pid, token=token)
        process.wait()
    if code:
        raise SystemExit(f"expected {script} to run, got exit {code}:\n{log.read_text()[-2000:]}")


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
    single, steady = lava_seconds(program)
    slayer = slayer_seconds() / BATCH
    seconds = {
        "twin": statistics.mean((before, seconds_of_twin())),
        "Lava, a run per sample": single,
        "Lava, steady": steady,
        "SLAYER": slayer,
    }
    limits = {"Lava, a run per sample": 1000.0, "Lava, steady": 200.0, "SLAYER": 3.0}
    goals = [
        Goal(name=f"times as fast as {name}", ratio=seconds[name] / seconds["twin"], at_least=limit)
        for name, limit in limits.items()
    ]
    report("bench_twin_vs_lava", goals=goals, details={"seconds per sample": seconds})


if __name__ == "__main__":
    main()
