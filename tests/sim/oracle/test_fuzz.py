"""Random networks on Lava: no difference in spikes, u and v, and the hard cases are reached.

`pytest -m "slow and lava" tests/sim/oracle/test_fuzz.py --write-results` writes `docs/results/`.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeproof.core.errors import UnsupportedNodeError
from spikeproof.core.files import write_json, write_text
from spikeproof.core.record import versions
from spikeproof.sim import byte_conv
from spikeproof.sim.oracle.run import run_lava_many
from spikeproof.tests.sim.fuzz_conditions import OF_TRACES, REGISTERS, STATIC, reached
from spikeproof.tests.sim.fuzz_networks import fuzzed

SEEDS = range(240)
FEW = range(20)
RESULTS = Path(__file__).parents[3] / "docs" / "results"
ALWAYS = {"u wrapped", "v clipped below", "u truncated below zero", "tie at the threshold"}


def compared(seeds, folder, *, timeout):
    """Runs the networks of these seeds on Lava and on the twin; what came of it."""
    networks = [fuzzed(seed, folder) for seed in seeds]
    found = run_lava_many([network.request for network in networks], timeout=timeout)
    outcome: dict[str, Any] = {
        "networks": len(networks),
        "values": 0,
        "spikes": 0,
        "differences": 0,
    }
    against, met, different = Counter(), Counter(), []
    for network, lava in zip(networks, found, strict=True):
        kind, ours = computed(network.setting)
        against[kind] += 1
        differences = sum(int((ours[key] != value).sum()) for key, value in lava.items())
        outcome["differences"] += differences
        outcome["values"] += sum(value.size for value in lava.values())
        outcome["spikes"] += sum(int(v.sum()) for key, v in lava.items() if key[0] == "s")
        different += [network.name] if differences else []
        met.update(reached(network, lava))
    names = sorted([*STATIC, *OF_TRACES, *REGISTERS])
    conditions = {name: met[name] for name in names}
    return outcome | {"against": dict(against), "different": different, "conditions": conditions}


def computed(setting):
    """What the twin computes, or the slow reference where the twin refuses the network.

    The twin sums these small maps in bytes too, wherever it would do so on large ones.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(byte_conv.ByteConv, "pays", lambda self, x: True)
        try:
            return "twin", setting.twin()
        except UnsupportedNodeError:
            return "reference", setting.expected()


def test_a_seed_always_gives_the_same_network(tmp_path):
    for seed in range(8):
        one, other = (fuzzed(seed, tmp_path).setting.expected() for _ in range(2))
        for key, value in one.items():
            np.testing.assert_array_equal(value, other[key])


@pytest.mark.lava
def test_twin_equals_lava_on_twenty_random_networks(tmp_path):
    outcome = compared(FEW, tmp_path, timeout=280.0)
    assert (outcome["networks"], outcome["different"]) == (20, [])
    assert all(outcome["conditions"][name] for name in ALWAYS)


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.timeout(3600)
def test_twin_equals_lava_on_all_random_networks(tmp_path, request):
    outcome = compared(SEEDS, tmp_path, timeout=3000.0)
    if request.config.getoption("--write-results"):
        write(outcome)
    assert outcome["different"] == []
    assert min(outcome["conditions"].values()) > 0


def write(outcome):
    """The record, and the same for people."""
    record = outcome | {"seeds": [SEEDS.start, SEEDS.stop], "versions": versions()}
    write_json(RESULTS / "lava_fuzz.json", record)
    rows = [f"| {name} | {count} |" for name, count in outcome["conditions"].items()]
    used = ", ".join(f"{name} {number}" for name, number in versions().items())
    against = ", ".join(f"{count} with the {kind}" for kind, count in outcome["against"].items())
    write_text(
        RESULTS / "lava_fuzz.md",
        "\n".join([*HEAD, *rows, ""]).format(
            **outcome | {"against": against, "used": used, "first": SEEDS.start, "last": SEEDS[-1]}
        ),
    )


HEAD = """\
# Random networks: the integer twin against Lava

{networks} random small networks (seeds {first} to {last}; even ones are `.net` files, odd ones
programs that no `.net` file holds) ran on Lava, and every spike, u and v of every neuron at every
step was compared: {against}.

**{differences} differences in {values} values**; {spikes} spikes fired. With {used}.

Convolutions whose sums leave 32 bits are left out: Lava casts them from float64 to int32, and what
that gives is undefined in C. Nothing else was left out.

What was reached, measured on Lava's own traces:

| condition | networks |
|---|---|""".splitlines()
