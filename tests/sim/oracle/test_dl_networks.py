"""The networks that lava-dl ships with its own tests: twin against a live Lava run, every value."""

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import h5py
import numpy as np
import pytest

from spikeproof.sim.netx.input import NetxInput
from spikeproof.sim.netx.simulation import netx_request, simulate_twin
from spikeproof.sim.oracle.run import run_lava, run_lava_many
from spikeproof.tests.sim.lava_programs import assert_equal_traces

FOLDER = "tests/lava/lib/dl/netx"


def shipped(name):
    """A file of lava-dl's own tests."""
    try:
        found = files("lava-dl") or []
    except PackageNotFoundError:
        pytest.skip("NOT TESTED: expected lava-dl with its networks, got no lava-dl; install it")
    return next(Path(path.locate()) for path in found if str(path) == f"{FOLDER}/{name}")


def image_driven(name, bias, **clock):
    """A network with an input block; `bias` in Lava's axes."""
    return shipped(name), NetxInput(input_bias=bias.astype(np.int32), **clock)


def pilotnet():
    image = np.load(shipped("gts/pilotnet_lif/image.npy"))
    return image_driven("gts/pilotnet_lif/network.net", image, steps=24, reset_interval=16)


def ntidigits(folder, *, start, steps):
    """Without its last layer, an average: Lava cannot load that, nor does lava-dl's own test."""
    path = folder / "ntidigits.net"
    with h5py.File(shipped("gts/ntidigits/ntidigits.net")) as file, h5py.File(path, "w") as cut:
        for index in range(5):
            file.copy(f"layer/{index}", cut, name=f"layer/{index}")
    x = np.load(shipped("gts/ntidigits/input.npy"))[:, start : start + steps]
    return path, NetxInput(steps=steps, x=x.astype(np.int32))


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The small ones, run in one worker."""
    rng = np.random.default_rng(5)
    cases = {
        "tiny": image_driven(
            "tiny.net", rng.integers(-40, 90, (16, 16, 3)), steps=40, reset_interval=17
        ),
        "mnist": image_driven("mnist.net", rng.integers(-50, 255, 784), steps=24),
        "ntidigits": ntidigits(tmp_path_factory.mktemp("nets"), start=1000, steps=60),
    }
    found = run_lava_many([netx_request(*case) for case in cases.values()], timeout=280.0)
    return {name: (*case, f) for (name, case), f in zip(cases.items(), found, strict=True)}


def assert_twin_equals(network, given, found):
    assert_equal_traces(simulate_twin(network, given, trace=True, strict=False), found)
    fired = [int(value.sum()) for key, value in found.items() if key[0] == "s"]
    assert min(fired[:2]) > 50


@pytest.mark.lava
@pytest.mark.filterwarnings("ignore:expected layer3 .* got no neuron")  # mnist reads u there
@pytest.mark.parametrize("name", ["tiny", "mnist", "ntidigits"])
def test_shipped_network_is_equal_on_twin_and_lava(ran, name):
    assert_twin_equals(*ran[name])


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_pilotnet_is_equal_on_twin_and_lava():
    network, given = pilotnet()
    assert_twin_equals(network, given, run_lava(netx_request(network, given), timeout=1000.0))


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_ntidigits_is_equal_on_twin_and_lava_over_many_steps(tmp_path):
    network, given = ntidigits(tmp_path, start=0, steps=1000)
    assert_twin_equals(network, given, run_lava(netx_request(network, given), timeout=1000.0))
