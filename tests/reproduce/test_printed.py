import re

import pytest

from spikeproof.reproduce.printed import PRINTED, printed
from spikeproof.reproduce.targets import TARGETS

TABLES = [name for name in TARGETS if name.startswith("table")]
NUMBERS = sorted(
    (name, value)
    for name, blocks in PRINTED.items()
    for rows in blocks.values()
    for values in rows.values()
    for value in values
    if value is not None and value != 1.0 and (name, value) != ("fig3", 0.0)
)


@pytest.mark.parametrize("name", TABLES)
def test_every_cell_of_a_table_has_its_number(name):
    target = TARGETS[name]
    for block in target.blocks:
        for row in target.rows:
            found = [printed(name, block.label, row, k) for k in range(len(target.labels))]
            assert None not in found
            assert len(PRINTED[name][block.label][row]) == len(target.labels)


def test_every_target_is_printed_or_says_that_the_paper_draws_it():
    assert set(PRINTED) == set(TARGETS)
    for name in set(TARGETS) - set(TABLES):
        assert any("prints no numbers" in note for note in TARGETS[name].notes)


def test_printed_numbers_stand_in_the_paper(shared):
    text = (shared / "paper" / "sparse-gradients-icml2024.txt").read_text(encoding="utf-8")
    found = {float(word) for word in re.findall(r"\d+(?:\.\d+)?", text)}
    ratios = {seconds / 65 for seconds in (459, 134, 193, 583)}
    assert len(NUMBERS) > 130
    assert not [entry for entry in NUMBERS if entry[1] not in found | ratios]


def test_a_row_that_is_not_printed_has_no_number():
    assert printed("fig3", "CIFAR-10, WRN-16", "λ = 0.003", 0) is None
    assert printed("fig1", "CIFAR-10, VGG-11", "8/255", 0) is None
