"""A deployed classifier: images to payload, integers to logits, gradients all the way back."""

import numpy as np
import pytest
import torch

from spikeproof.core.errors import ConfigError, DataError, FormatError
from spikeproof.sim.classifier import TwinClassifier
from spikeproof.sim.gradients.estimators import ESTIMATORS
from spikeproof.sim.interface import Readout
from spikeproof.tests.reference import reference
from spikeproof.tests.sim.programs import chain, classifier

STEPS = 6
OFFSET = torch.tensor([120, 55])[:, None, None]


def images(rng, count=5):
    """On the lattice, uint8 levels over 255."""
    return torch.from_numpy(rng.integers(0, 256, (count, 2, 4, 4))).float() / 255


def levels(model, images):
    return model.payload(images) + OFFSET


def test_all_levels_of_the_lattice_survive_the_way_in():
    model, ramp = TwinClassifier(classifier()), torch.arange(256.0)
    grid = (ramp / 255).repeat_interleave(2).reshape(16, 2, 4, 4)
    assert torch.equal(levels(model, grid).flatten(), ramp.repeat_interleave(2))


@pytest.mark.parametrize("shift", [-0.49, -0.3, 0.3, 0.49])
def test_images_off_the_lattice_are_rounded_to_it(rng, shift):
    model, exact = TwinClassifier(classifier()), images(rng) * 0.98 + 0.01
    exact = (exact * 255).round() / 255
    assert torch.equal(model.payload(exact + shift / 255), model.payload(exact))
    assert torch.equal(model(exact + shift / 255), model(exact))


def test_halves_are_rounded_to_the_even_level():
    model = TwinClassifier(classifier())
    for image, level in ((0.5, 128), (0.1, 26), (0.3, 76), (0.7, 178)):
        assert (image * 255) % 1 == 0.5
        x = torch.full((1, 2, 4, 4), image, dtype=torch.float64)
        assert levels(model, x).unique().tolist() == [level]


@pytest.mark.parametrize("kind", ["sum", "membrane", "spikes"])
def test_logits_are_those_of_the_reference_on_lavas_clock(rng, kind):
    program, x = classifier(kind), images(rng, 3)
    steps = STEPS
    logits = TwinClassifier(program)(x)
    for sample, found in zip(x, logits, strict=True):
        train = np.zeros((steps + 3, 1, 2, 4, 4), np.int64)
        train[:steps] = ((sample * 255).round() - OFFSET).numpy().astype(np.int64)
        traces = reference(
            program, {"image": train}, steps=steps + 3, batch=1, interval=steps, offset=1
        )
        window = slice(3, 3 + steps)  # phase 2 and the external input's one step
        s, v = traces["out"].s[window, 0], traces["out"].v[window, 0] / 64
        reading = {"sum": v.sum(0), "membrane": v[-1], "spikes": s.sum(0)}[kind]
        np.testing.assert_allclose(found.numpy(), reading * 0.125, rtol=1e-6)


def test_logits_are_the_reading_times_its_scale(rng):
    x = images(rng)
    model = TwinClassifier(classifier())
    other = Readout(population="out", kind="sum", scale=3.0)
    scaled = TwinClassifier(classifier(readout=other))
    reading = model.run(x).reading
    assert reading is not None
    assert torch.equal(model(x), reading * 0.125)
    assert torch.equal(scaled(x), reading * 3.0)


def test_logits_do_not_depend_on_the_batch(rng):
    model, x = TwinClassifier(classifier()), images(rng, 8)
    assert torch.equal(model(x), torch.cat([model(one[None]) for one in x]))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_logits_are_the_same_for_every_estimator(rng, name):
    model, x = TwinClassifier(classifier()), images(rng)
    using = model.using(name)
    assert torch.equal(using(x.clone().requires_grad_()), model(x))
    assert using.twin is model.twin


@pytest.mark.parametrize("name", ESTIMATORS)
def test_gradients_reach_the_image_through_the_rounding(rng, name):
    model = TwinClassifier(classifier())
    on = images(rng).requires_grad_()
    off = (on.detach() + 0.3 / 255).clamp(0, 1).requires_grad_()
    grads = [torch.autograd.grad(model.using(name)(x)[:, 0].sum(), x)[0] for x in (on, off)]
    assert grads[0].abs().max() > 0
    assert torch.equal(*grads)


def test_gradients_are_in_image_units(rng):
    model, x = TwinClassifier(classifier(), using="triangle"), images(rng)
    x.requires_grad_()
    payload = model.payload(x)
    (grad,) = torch.autograd.grad(payload.sum(), x)
    assert grad.unique().tolist() == [255.0]


def test_models_without_an_estimator_give_plain_numbers(rng):
    assert not TwinClassifier(classifier())(images(rng)).requires_grad


def test_attacks_find_a_target():
    model = TwinClassifier(classifier())
    assert model.name == "hardware"
    assert model.estimators == tuple(ESTIMATORS)


def test_rates_are_those_of_the_spiking_populations(rng):
    model, x = TwinClassifier(classifier()), images(rng)
    rates, run = model.rates(x), model.run(x)
    assert set(rates) == {"a", "b", "relay"}
    assert rates["a"] == pytest.approx(float(run.spikes["a"].mean()))
    assert "out" in TwinClassifier(classifier("spikes")).rates(x)


def test_unknown_estimators_are_refused():
    with pytest.raises(ConfigError, match="expected a gradient estimator among"):
        TwinClassifier(classifier()).using("exact")


@pytest.mark.parametrize(
    "program",
    [chain(), classifier(encoding=None), classifier(readout=None)],
    ids=["neither", "no encoding", "no read-out"],
)
def test_programs_that_are_no_classifier_are_refused(program):
    with pytest.raises(FormatError, match="got a bare network; deploy a NIR file to get one"):
        TwinClassifier(program)


@pytest.mark.parametrize("value", [-0.1, 1.1, 2.0])
def test_images_outside_zero_and_one_are_refused(value):
    with pytest.raises(DataError, match="expected payloads of source 'image' in -120..200, got"):
        TwinClassifier(classifier())(torch.full((1, 2, 4, 4), value))


@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (1, 2, 4, 5), (1, 3, 4, 4)])
def test_images_of_another_shape_are_refused(shape):
    with pytest.raises(DataError, match=r"expected images \[N, 2, 4, 4\], got \[1"):
        TwinClassifier(classifier())(torch.zeros(shape))
