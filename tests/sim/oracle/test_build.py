"""Lava processes built for programs: equal to the slow reference, graph by graph."""

import pytest

from spikeproof.sim.oracle.run import run_lava_many
from spikeproof.tests.sim.lava_programs import SETTINGS, assert_equal_traces, settings


@pytest.fixture(scope="module")
def ran():
    """All settings and what Lava, imported once, made of them."""
    made = settings()
    found = run_lava_many([s.request() for s in made.values()], timeout=250.0)
    return {name: (s, f) for (name, s), f in zip(made.items(), found, strict=True)}


@pytest.mark.lava
@pytest.mark.parametrize("name", SETTINGS)
def test_lava_computes_a_program_as_the_reference_does(ran, name):
    setting, found = ran[name]
    assert_equal_traces(found, setting.expected())
    spikes = [int(found[f"s{k}"].sum()) for k in range(len(setting.program.populations))]
    assert sum(spikes) > 10


@pytest.mark.lava
@pytest.mark.parametrize("name", SETTINGS)
def test_lava_computes_a_program_as_the_twin_does(ran, name):
    setting, found = ran[name]
    assert_equal_traces(found, setting.twin())
