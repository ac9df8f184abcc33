"""How fast is the twin's exact convolution against torch's float32 and int32 ones?"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from harness import Goal, alternating, one_thread, ratio, report

from spikeproof.sim.byte_conv import missing_reason
from spikeproof.sim.exact_sums import exact_dtype
from spikeproof.sim.kernel import Kernel
from spikeproof.sim.program import Synapse

SHAPES = {"64->64, 32x32": (8, 64, 32), "128->128, 16x16": (8, 128, 16)}
"""Batch, channels in and out, size of the map."""
ROUNDS = 9


def calls(batch: int, channels: int, size: int) -> dict[str, Callable[[], torch.Tensor]]:
    """The same convolution three ways, on the worst operands: all weights 127, all fire."""
    weight = torch.full((channels, channels, 3, 3), 127)
    x = torch.ones((batch, channels, size, size))
    synapse = Synapse(source="a", target="b", weight=weight.int().numpy(), padding=(1, 1))
    kernel = Kernel(
        synapse,
        synapse.weight,
        low=0,
        high=1,
        dtype=exact_dtype(int(weight[0].sum()), largest=127),
        device=torch.device("cpu"),
    )
    floats, whole, x_whole = weight.float(), weight.int(), x.int()
    return {
        "twin": lambda: kernel(x),
        "float32": lambda: F.conv2d(x, floats, padding=1),
        "int32": lambda: F.conv2d(x_whole, whole, padding=1),
    }


def main() -> None:
    """Measures every shape and reports the worst ratio."""
    one_thread()
    why_not = missing_reason()
    details: dict[str, object] = {"bytes": why_not or "exact"}
    faster: dict[str, list[float]] = {"float32": [], "int32": []}
    for name, shape in SHAPES.items():
        ways = calls(*shape)
        wrong = int((ways["twin"]().long() != ways["int32"]().long()).sum())
        if wrong:
            raise SystemExit(f"{name}: {wrong} of the twin's sums are wrong")
        seconds = alternating(ways, rounds=ROUNDS)
        details[name] = {"seconds": seconds, "differences": wrong}
        for peer, found in faster.items():
            found.append(ratio(seconds, peer, "twin"))
    goals = [
        Goal(
            name="times as fast as float32",
            ratio=min(faster["float32"]),
            at_least=0.95 if why_not else 2.5,
        ),
        Goal(name="times as fast as int32", ratio=min(faster["int32"]), at_least=6.0),
    ]
    report("bench_twin_conv", goals=goals, details=details)


if __name__ == "__main__":
    main()
