"""How fast is the twin's exact convolution against torch's float32 and int32 ones?"""

import torch
import torch.nn.functional as F
from harness import Goal, alternating, one_thread, ratio, report

from spikeproof.sim import onednn
from spikeproof.sim.kernel import Kernel, exact_dtype
from spikeproof.sim.program import Synapse

SHAPES = {"64->64, 32x32": (8, 64, 32), "128->128, 16x16": (8, 128, 16)}
ROUNDS = 9


def calls(batch: int, channels: int, size: int) -> tuple[dict, dict[str, bool]]:
    """The same convolution of spikes three ways, and whether each is exact on worst operands."""
    weight = torch.full((channels, channels, 3, 3), 127)
    x = torch.ones((batch, channels, size, size))
    synapse = Synapse(source="a", target="b", weight=weight.int().numpy(), padding=(1, 1))
    bound = int(weight[0].sum())
    kernel = Kernel(
        synapse,
        synapse.weight,
        peak=1,
        dtype=exact_dtype(bound, largest=127),
        device=torch.device("cpu"),
        takes_bytes=True,
    )
    ways = {
        "twin": lambda: kernel(x),
        "float32": lambda: F.conv2d(x, weight.float(), padding=1),
        "int32": lambda: F.conv2d(x.int(), weight.int(), padding=1),
    }
    truth = F.conv2d(x.long(), weight.long(), padding=1)
    return ways, {name: torch.equal(way().long(), truth) for name, way in ways.items()}


def main() -> None:
    """Measures every shape and reports the worst ratio."""
    one_thread()
    vnni = onednn.is_exact_here()
    details: dict[str, object] = {"byte convolution passes its self-test": vnni}
    faster: dict[str, list[float]] = {"float32": [], "int32": []}
    for name, shape in SHAPES.items():
        ways, exact = calls(*shape)
        seconds = alternating(ways, rounds=ROUNDS)
        for peer, found in faster.items():
            found.append(ratio(seconds, peer, "twin"))
        details[name] = {"seconds": seconds, "exact": exact}
        assert exact["twin"], f"{name}: the twin's sums are wrong"
    goals = [
        Goal(
            name="times as fast as float32",
            ratio=min(faster["float32"]),
            at_least=2.5 if vnni else 0.95,
        ),
        Goal(name="times as fast as int32", ratio=min(faster["int32"]), at_least=6.0),
    ]
    report("bench_twin_conv", goals=goals, details=details)


if __name__ == "__main__":
    main()
