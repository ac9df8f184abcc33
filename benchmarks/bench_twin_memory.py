"""How much memory does VGG-11 take in the twin at batch 64, T = 8, with and without gradients?"""

import json
import resource
import subprocess
import sys

import torch
from harness import Goal, one_thread, report
from networks import VGG11, network

from spikeproof.sim.classifier import TwinClassifier

HIDDEN, STEPS, BATCH = (4096, 4096), 8, 64
LIMIT_GIB = 8.0


def peak_gib(*, backward: bool) -> float:
    """Peak resident memory of this process after one pass."""
    one_thread()
    twin = TwinClassifier(network(VGG11, HIDDEN, steps=STEPS), using="triangle")
    images = torch.rand(BATCH, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.set_grad_enabled(backward):
        logits = twin(images.requires_grad_(backward))
        if backward:
            logits.square().sum().backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measured(mode: str) -> float:
    """The same in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, mode], stdout=subprocess.PIPE, check=True, text=True
    )
    return json.loads(done.stdout)


def main() -> None:
    """Measures both, each in a process of its own."""
    if sys.argv[1:]:
        print(peak_gib(backward=sys.argv[1] == "backward"))
        return
    one_thread()
    goals = [
        Goal(name=f"GiB at the peak, {mode}", ratio=measured(mode), at_most=LIMIT_GIB)
        for mode in ("forward", "backward")
    ]
    details = {"network": "VGG-11", "hidden": HIDDEN, "steps": STEPS, "batch": BATCH}
    report("bench_twin_memory", goals=goals, details=details)


if __name__ == "__main__":
    main()
