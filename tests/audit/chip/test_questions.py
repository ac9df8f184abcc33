"""The section of audit.json: its form, and when it is there."""

import jsonschema
import numpy as np
import pytest
import torch

from spikeproof.attacks.target import FunctionTarget
from spikeproof.audit.config import AuditConfig
from spikeproof.audit.plan import Plan
from spikeproof.audit.report import render
from spikeproof.audit.report.plain import comma_separated, markdown
from spikeproof.audit.schema import SCHEMA
from spikeproof.audit.validate import run
from spikeproof.core.errors import ConfigError, RangeError
from spikeproof.sim.classifier import TwinClassifier
from spikeproof.tests.audit.chip.conftest import planted
from spikeproof.tests.sim.programs import classifier


def toy(x):
    return torch.stack([x[:, 0].mean((1, 2)), x[:, 1].mean((1, 2)), 0.4 + 0 * x[:, 0, 0, 0]], 1)


@pytest.fixture(scope="module")
def plan():
    draw = np.random.default_rng(0)

    def of(questions, chip=None):
        return Plan.of(
            AuditConfig(
                samples=4, batch_size=4, curve=(0, 8), continuous=False, chip_questions=questions
            ),
            float_target=FunctionTarget(toy, name="float"),
            hardware_target=chip or TwinClassifier(classifier()),
            images=draw.integers(0, 256, (4, 2, 4, 4), dtype=np.uint8),
            labels=np.array([0, 1, 2, 0]),
        )

    return of


@pytest.fixture(scope="module")
def audit(plan, tmp_path_factory):
    return run(plan(3), out=tmp_path_factory.mktemp("chip") / "audit.json", context={}).audit


def test_section_has_the_form_of_the_schema(audit):
    jsonschema.validate(audit, SCHEMA, cls=jsonschema.Draft202012Validator)
    assert audit["chip_only"]["n"] == 3


def test_every_population_but_relays_is_asked(audit):
    rows = audit["chip_only"]["registers"]
    assert [row["population"] for row in rows[::3]] == ["a", "b", "out"]


def test_same_question_gives_the_same_answer(plan):
    samples_of = plan(2)
    assert samples_of.chip_only() == samples_of.chip_only()


def test_nothing_is_asked_by_default(plan):
    assert plan(0).chip_only() is None


def test_what_is_no_chip_is_refused(plan):
    with pytest.raises(ConfigError, match="expected the integers of a chip for chip-only"):
        plan(2, FunctionTarget(toy, name="toy"))


def test_one_sample_is_refused_before_the_audit(plan):
    with pytest.raises(ConfigError, match="questions of at least 2 samples, .* got 1; ask more"):
        plan(1)


def test_weights_wider_than_a_byte_are_refused_before_the_audit(plan):
    with pytest.raises(RangeError, match=r"expected weights of synapse .* in -128\.\.127"):
        plan(2, TwinClassifier(planted(weight=200)))


def test_less_than_nothing_is_refused():
    with pytest.raises(ConfigError, match="chip_questions of 0 or more, got -1"):
        AuditConfig(chip_questions=-1)


def test_reports_tell_every_question(audit):
    found = audit["chip_only"]
    page, text, lines = render(audit), markdown(audit), comma_separated(audit)
    assert "What only a chip can be asked" in page
    assert "What only a chip can be asked" in text
    for row in found["registers"]:
        assert f">{row['reached']}<" in page
        assert (
            f"headroom,{row['register']} of {row['population']},hardware,{row['margin']}" in lines
        )
    assert lines.count("\nbit_flips,") == 2 * len(found["bit_flips"])
