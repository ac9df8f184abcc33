"""What is proven of an input: no image within epsilon takes its class away."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeproof.attacks.lattice import ThreatModel
from spikeproof.attacks.pgd import PGD
from spikeproof.audit.certified import certify_inputs
from spikeproof.core.errors import DataError, RangeError
from spikeproof.datasets.images import load
from spikeproof.deploy.deployment import DeployConfig, to_integers
from spikeproof.export.to_nir import to_nir
from spikeproof.sim.classifier import TwinClassifier
from spikeproof.sim.graph.file import write_nir
from spikeproof.sim.interface import Encoding
from spikeproof.tests.deploy.networks import random_network
from spikeproof.tests.deploy.residual import residual_program
from spikeproof.tests.sim.programs import classifier


def leaky():
    """A read-out that forgets, whose spikes cannot be counted together."""
    program = classifier("membrane")
    *hidden, last = program.populations
    return replace(program, populations=(*hidden, replace(last, dv=1000)))


PROGRAMS = {
    "leaky": leaky(),
    "membrane": classifier("membrane"),
    "sum": classifier("sum"),
    "spikes": classifier("spikes"),
    "residual": residual_program(),
}


def unit(images):
    return torch.from_numpy(images).float() / 255


def leads(chip, images, labels):
    """z_y minus the greatest other logit."""
    logits = chip(unit(images)).double()
    own = torch.nn.functional.one_hot(torch.from_numpy(labels), logits.shape[1]).bool()
    return (logits[own] - logits.masked_fill(own, -torch.inf).amax(1)).numpy()


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    levels=st.integers(0, 12),
    name=st.sampled_from(sorted(PROGRAMS)),
)
def test_no_image_of_the_box_breaks_what_is_proven(seed, levels, name):
    draw, program = np.random.default_rng(seed), PROGRAMS[name]
    chip = TwinClassifier(program)
    images = draw.integers(0, 256, (8, *program.sample_shape), dtype=np.uint8)
    labels = chip(unit(images)).argmax(1).numpy()
    (found,) = certify_inputs(program, images, labels, epsilons=(levels / 255,))
    assert found.levels == levels
    moves = draw.integers(-levels, levels + 1, (20, *images.shape))
    inside = np.clip(images + moves, 0, 255).astype(np.uint8).reshape(-1, *images.shape[1:])
    lead = leads(chip, inside, np.tile(labels, 20)).reshape(20, -1)
    assert (lead[:, found.margin > 0] > 0).all()


@pytest.mark.parametrize("name", PROGRAMS)
def test_without_a_box_the_margin_is_the_lead(name):
    draw, program = np.random.default_rng(0), PROGRAMS[name]
    images = draw.integers(0, 256, (30, *program.sample_shape), dtype=np.uint8)
    labels = draw.integers(0, 3, 30)
    (found,) = certify_inputs(program, images, labels, epsilons=(0.0,))
    lead = leads(TwinClassifier(program), images, labels)
    assert len(set(np.sign(lead))) > 1
    np.testing.assert_array_equal(np.sign(found.margin), np.sign(lead))


def test_frames_are_enclosed_as_images_are():
    program = classifier("sum")
    source = replace(program.sources[0], low=0, high=3, message_bits=9)
    encoding = Encoding(offset=(0, 0), steps=6, kind="frames")
    first = replace(program.populations[0], vth=12)
    program = replace(
        program,
        sources=(source,),
        encoding=encoding,
        populations=(first, *program.populations[1:]),
    )
    draw = np.random.default_rng(0)
    stacks = draw.integers(0, 4, (6, *program.sample_shape), dtype=np.uint8)
    chip = TwinClassifier(program)
    labels = chip(unit(stacks)).argmax(1).numpy()
    alone, boxed = certify_inputs(program, stacks, labels, epsilons=(0.0, 1 / 255))
    np.testing.assert_array_equal(alone.margin > 0, leads(chip, stacks, labels) > 0)
    assert (boxed.margin < alone.margin).all()


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A deployed network on digits that it classifies by its own labels."""
    path = tmp_path_factory.mktemp("digits") / "model.nir"
    write_nir(path, to_nir(random_network()))
    program = to_integers(DeployConfig(), path).program
    images = load("digits").test_images[:40]
    labels = TwinClassifier(program)(unit(images)).argmax(1).numpy()
    return program, images, labels


def test_what_an_attack_takes_was_not_proven(digits):
    program, images, labels = digits
    radii = (1 / 255, 4 / 255, 16 / 255)
    proven = certify_inputs(program, images, labels, epsilons=radii)
    assert proven[0].holds.sum() > 0
    assert list(proven[0].margin) >= list(proven[1].margin) >= list(proven[2].margin)
    for found, epsilon in zip(proven, radii, strict=True):
        attempt = PGD(name="pgd", steps=5, estimator="triangle")(
            TwinClassifier(program),
            unit(images),
            torch.from_numpy(labels),
            threat=ThreatModel(epsilon=epsilon),
            keys=torch.arange(len(images)),
            seed=0,
        )
        assert not (found.holds & attempt.fooled_any.numpy()).any()


def test_a_wrong_answer_is_not_robust(digits):
    program, images, labels = digits
    (found,) = certify_inputs(program, images, (labels + 1) % 10, epsilons=(1 / 255,))
    assert not found.is_right.any()
    row = found.to_json()
    assert (row["count"], row["certified"]["value"], row["levels"]) == (0, 0.0, 1)


def test_classes_that_the_chip_lacks_are_refused(digits):
    program, images, labels = digits
    with pytest.raises(DataError, match=r"expected classes within 0\.\.9, got .*\.\.19; pass"):
        certify_inputs(program, images, labels + 10, epsilons=(0.0,))


def test_without_certificates_of_the_registers_nothing_is_proven():
    program = classifier("membrane")
    heavy = [replace(s, weight=s.weight * 100_000) for s in program.synapses]
    images = np.zeros((1, *program.sample_shape), np.uint8)
    with pytest.raises(RangeError, match="in population"):
        certify_inputs(
            replace(program, synapses=tuple(heavy)), images, np.zeros(1, np.int64), epsilons=(0.0,)
        )


def test_other_images_are_refused(digits):
    program, images, labels = digits
    with pytest.raises(DataError, match="expected images of shape"):
        certify_inputs(program, images[:, :, :4], labels, epsilons=(0.0,))
