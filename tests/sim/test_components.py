"""Loops in a graph, and an order of everything around them."""

import pytest

from spikeproof.sim.components import components, in_order
from spikeproof.sim.program import Population, Program, Synapse
from spikeproof.tests.sim.programs import chain, ramp


def graph(names, *edges):
    """Single neurons, joined by pairs of names."""
    return Program(
        sources=(),
        populations=tuple(Population(name=name, shape=(1,), vth=1) for name in names),
        synapses=tuple(Synapse(source=a, target=b, weight=ramp(1, 1)) for a, b in edges),
        outputs=(names[0],),
    )


def named(program):
    return ["".join(p.name for p in group) for group in components(program)]


def test_a_program_without_loops_has_groups_of_one():
    assert [len(group) for group in components(chain())] == [1, 1, 1]


def test_groups_come_after_all_that_feeds_them():
    assert named(graph("dcba", "ab", "bc", "cd", "ad")) == ["a", "b", "c", "d"]


def test_order_puts_every_population_behind_what_feeds_it():
    program = graph("dcba", "ab", "bc", "cd", "ad")
    assert [p.name for p in in_order(program) or ()] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("edges", [("ab", "ba"), ("ab", "bb")])
def test_a_program_that_recurs_has_no_order(edges):
    assert in_order(graph("ab", *edges)) is None


def test_populations_that_reach_one_another_are_one_group():
    assert named(graph("abcd", "ab", "bc", "cb", "cd")) == ["a", "bc", "d"]


def test_a_population_that_feeds_itself_is_a_group_of_one():
    assert named(graph("ab", "aa", "ab")) == ["a", "b"]


def test_two_loops_that_share_a_population_are_one_group():
    assert named(graph("abcde", "ab", "ba", "bc", "cb", "de", "ed", "cd")) == ["abc", "de"]
