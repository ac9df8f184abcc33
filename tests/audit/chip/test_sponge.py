"""Sponges: work counted as telemetry counts it, driven up as far as is known by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeproof.audit.chip.sponge import reached, sent, sponge, synops, work
from spikeproof.sim.classifier import TwinClassifier
from spikeproof.sim.telemetry import telemetry
from spikeproof.tests.audit.chip.conftest import GREY, STEPS, grey, planted
from spikeproof.tests.sim.programs import classifier

SILENT = planted(weight=1, vth=4 * (GREY + 10) * 1)
"""Of 100 levels a pixel the membrane passes its threshold once in three steps, of 111 in each."""


def test_work_is_what_telemetry_counts(rng):
    chip = TwinClassifier(classifier())
    images = torch.from_numpy(rng.integers(0, 256, (3, 2, 4, 4))).float() / 255
    run = chip.run(images, record=True)
    rows = telemetry(chip.program, run, {chip.source.name: chip.payload(images)})
    done = work(chip, images)
    assert done.synops.sum() == sum(row.synops for row in rows)
    assert done.spikes.sum() == sum(row.spikes for row in rows)


def test_work_of_a_sample_does_not_depend_on_the_batch(rng):
    chip = TwinClassifier(classifier())
    images = torch.from_numpy(rng.integers(0, 256, (3, 2, 4, 4))).float() / 255
    alone = [work(chip, image[None]).synops[0] for image in images]
    np.testing.assert_array_equal(work(chip, images).synops, alone)


def test_work_can_be_differentiated(rng):
    chip = TwinClassifier(classifier(), using="triangle")
    x = (torch.from_numpy(rng.integers(0, 256, (2, 2, 4, 4))).float() / 255).requires_grad_()
    done = synops(sent(chip, chip.run(x), x), reached(chip.program)).sum()
    assert torch.autograd.grad(done, x)[0].abs().max() > 0


def test_sponge_fires_the_neuron_at_every_step(ask):
    told = sponge(ask(SILENT), confidence=0.95)
    from_outside = STEPS * 4
    assert told["synops"] == from_outside + 2 * 1
    assert told["free"]["synops_ratio"]["value"] == pytest.approx(
        (from_outside + 2 * STEPS) / (from_outside + 2)
    )
    assert told["free"]["spikes"] == STEPS


def test_sponge_that_keeps_the_answer_keeps_it(ask):
    told = sponge(ask(SILENT), confidence=0.95)
    assert told["same_answer"]["changed"] == 0.0
    assert told["same_answer"]["synops_ratio"]["value"] >= 1.0
    assert told["same_answer"]["largest_ratio"] <= told["free"]["largest_ratio"]


def test_no_ball_no_sponge(ask):
    told = sponge(ask(SILENT, levels=0), confidence=0.95)
    assert told["free"]["synops_ratio"] == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_image_that_needs_no_work_has_a_ratio(ask):
    """Black pixels and a silent neuron: nothing is sent, and nothing over nothing is no number."""
    black = replace(grey(), images=np.zeros((3, 1, 2, 2), np.uint8))
    told = sponge(ask(SILENT, samples=black), confidence=0.95)
    assert told["synops"] == 0.0
    assert told["free"]["synops_ratio"]["value"] == STEPS * 4
