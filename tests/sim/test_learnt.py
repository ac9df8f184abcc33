"""What is learnt: the chip's integers forward, gradients of the de-quantised network backward."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from spikeproof.core.errors import DataError, UnsupportedNodeError
from spikeproof.sim.byte_conv import missing_reason
from spikeproof.sim.clock import Window
from spikeproof.sim.exact_sums import activation_bound, exact_dtype
from spikeproof.sim.gradients.estimators import TRAINING, estimator
from spikeproof.sim.kernel import Kernel
from spikeproof.sim.learnt import Learnt
from spikeproof.sim.program import Synapse
from spikeproof.sim.twin import Twin
from spikeproof.tests.sim.lossless import STEPS, float_network, lossless
from spikeproof.tests.sim.populations import whole
from spikeproof.tests.sim.programs import chain


def learnt_of(program, names):
    """All weights and biases of populations, as leaves."""
    weights = {
        name: tuple(
            torch.from_numpy(s.weight.astype(np.float64)).requires_grad_()
            for s in program.into(name)
        )
        for name in names
    }
    biases = {
        name: torch.from_numpy(program.population(name).bias.astype(np.float64))
        .flatten()
        .requires_grad_()
        for name in names
    }
    return Learnt(weights=weights, biases=biases)


@pytest.mark.parametrize(("dv", "decay"), [(0, 1.0), (2048, 0.5)], ids=["IF", "LIF"])
@pytest.mark.parametrize("readout", ["sum", "spikes"])
def test_gradients_of_weights_and_biases_equal_those_of_the_float_network(rng, dv, decay, readout):
    program, each = lossless(rng, dv=dv, readout=readout), estimator(TRAINING)
    learnt = learnt_of(program, ("a", "b", "out"))
    x = torch.from_numpy(whole(rng, -4, 4, 7, 2, 5, 5)).float()
    run = Twin(program, learnt=learnt).run({"x": x[None]}, Window(steps=STEPS), estimator=each)
    weights = [torch.from_numpy(s.weight).float().requires_grad_() for s in program.synapses]
    biases = [b.detach().float().requires_grad_() for b in learnt.biases.values()]
    shaped = [biases[0].reshape(-1, 1, 1), *biases[1:]]
    _, logits = float_network(program, x, decay=decay, each=each, weights=weights, biases=shaped)
    assert run.reading is not None
    assert torch.equal(run.reading, logits)
    ours = [learnt.weights["a"][0], learnt.weights["b"][0], *learnt.weights["out"]]
    theirs = [weights[k] for k in (0, 1, 3, 4)]
    slope = torch.tensor([1.0, -2.0, 0.5])
    found = torch.autograd.grad((run.reading * slope).sum(), [*ours, *learnt.biases.values()])
    expected = torch.autograd.grad((logits * slope).sum(), [*theirs, *biases])
    for one, other in zip(found, expected, strict=True):
        assert other.abs().max() > 0
        torch.testing.assert_close(one.float(), other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("high", "peak", "arithmetic"), [(1, 99, "bytes"), (250, 999, "float32 in")]
)
def test_fast_sums_have_the_gradient_of_the_convolution(rng, high, peak, arithmetic):
    if arithmetic == "bytes" and missing_reason():
        pytest.skip(missing_reason())
    held = whole(rng, -peak, peak, 4, 64, 3, 3)
    synapse = Synapse(source="x", target="y", weight=held)
    span = {"low": 0, "high": high}
    dtype = exact_dtype(activation_bound(synapse, **span), largest=max(peak, high))
    learnt = torch.from_numpy(held).double().requires_grad_()
    kernel = Kernel(synapse, held, **span, dtype=dtype, device=torch.device("cpu"), learnt=learnt)
    assert kernel.arithmetic.startswith(arithmetic)
    x = torch.from_numpy(whole(rng, 0, high, 3, 64, 12, 12)).double()
    sums, expected = kernel(x), F.conv2d(x, learnt)
    assert torch.equal(sums.double(), expected)
    slope = torch.randn(sums.shape, generator=torch.Generator().manual_seed(0)).to(sums)
    (ours,) = torch.autograd.grad((sums * slope).sum(), learnt)
    (theirs,) = torch.autograd.grad((expected * slope).sum(), learnt)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))


@pytest.mark.parametrize("part", ["weights", "biases"])
def test_other_numbers_than_the_programs_are_refused(rng, part):
    program = lossless(rng, dv=0, readout="sum")
    learnt = learnt_of(program, ("b",))
    tensor = learnt.weights["b"][0] if part == "weights" else learnt.biases["b"]
    with torch.no_grad():
        tensor[0] += 1
    with pytest.raises(DataError, match="to be the program's, got others; quantise"):
        Twin(program, learnt=learnt)


def test_a_missing_weight_is_refused(rng):
    program = lossless(rng, dv=0, readout="sum")
    with pytest.raises(DataError, match="expected 2 learnt weights into 'out', got 1"):
        Twin(program, learnt=Learnt(weights={"out": learnt_of(program, ("b",)).weights["b"]}))


def test_delays_of_single_weights_are_refused():
    program = chain()
    with pytest.raises(UnsupportedNodeError, match="one delay for learnt synapse a -> b"):
        Twin(program, learnt=learnt_of(program, ("b",)))


def test_loops_are_refused(rng):
    program = lossless(rng, dv=0, readout="sum")
    back = Synapse(source="b", target="b", weight=whole(rng, 1, 2, 6, 6))
    program = replace(program, synapses=(*program.synapses, back))
    with pytest.raises(UnsupportedNodeError, match="learnt population 'b' outside of loops"):
        Twin(program, learnt=learnt_of(program, ("b",)))
