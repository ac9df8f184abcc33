"""Integer populations over time: ties, resets, and floats where they are exact."""

import pytest
import torch

from spikeproof.sim.integer_neuron import is_plain
from spikeproof.sim.program import Population
from spikeproof.tests.sim.populations import activations, run, whole


@pytest.mark.parametrize("vth", [90000, 131072])  # the second never fires and stays at the rail
@pytest.mark.parametrize("dv", [0, 4096])
def test_plain_floats_equal_registers(rng, dv, vth):
    population = Population(name="a", shape=(50,), dv=dv, vth=vth)
    bias = torch.from_numpy(whole(rng, -32768, 32767, 50))
    a = activations(rng, 40, 2, 50, low=-98000, high=98000).detach()
    exact, plain = (run(a, population, bias=bias, plain=each) for each in (False, True))
    assert is_plain(population, bound=98000 + 32768)
    assert torch.equal(exact.spikes, plain.spikes)
    assert torch.equal(exact.u, plain.u)
    assert torch.equal(exact.v, plain.v)


@pytest.mark.parametrize(
    ("du", "dv", "bound", "expected"),
    [
        (4096, 0, 2**17 - 1, True),
        (4096, 4096, 2**17 - 1, True),
        (4096, 0, 2**17, False),  # −2¹⁷ wraps to +2¹⁷
        (4095, 0, 0, False),
        (4096, 1, 0, False),
    ],
)
def test_floats_are_plain_only_where_nothing_rounds_or_wraps(du, dv, bound, expected):
    population = Population(name="a", shape=(1,), du=du, dv=dv, vth=1)
    assert is_plain(population, bound=bound) is expected


def test_rails_out_of_reach_change_nothing(rng):
    population = Population(name="a", shape=(50,), vth=9000)
    a = activations(rng, 13, 2, 50, low=-10000, high=10000).detach()
    free, clipped = (run(a, population, plain=True, clips=each) for each in (False, True))
    assert torch.equal(free.stored_h, clipped.stored_h)


@pytest.mark.parametrize("keeps", [True, False])
def test_spikes_do_not_depend_on_what_is_kept(rng, keeps):
    population = Population(name="a", shape=(50,), du=77, dv=99, vth=20)
    a = activations(rng, 13, 2, 50).detach()
    found = run(a, population, keeps=keeps)
    assert torch.equal(found.spikes, run(a, population).spikes)
    assert len(found.stored_h) == len(found.stored_u) == (13 if keeps else 0)


@pytest.mark.parametrize("plain", [False, True])
def test_a_neuron_at_its_threshold_does_not_fire(plain):
    population = Population(name="a", shape=(3,), vth=5)
    registers = run(torch.tensor([[[4.0, 5.0, 6.0]]]), population, plain=plain)
    assert registers.spikes.tolist() == [[[0.0, 0.0, 1.0]]]
    assert registers.h.tolist() == [[[256, 320, 384]]]
    assert registers.v.tolist() == [[[256, 320, 0]]]


@pytest.mark.parametrize("plain", [False, True])
def test_resets_clear_before_the_step_and_keep_what_arrives(plain):
    population = Population(name="a", shape=(1,), vth=131071)
    a = torch.arange(1.0, 5.0).reshape(4, 1, 1)
    resets = (False, False, True, False)
    registers = run(a, population, resets=resets, plain=plain)
    assert (registers.v.flatten() / 64).tolist() == [1, 3, 3, 7]
