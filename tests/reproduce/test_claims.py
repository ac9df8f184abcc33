import pytest

from spikeproof.reproduce.claims import below, falls, order, rows_rise, together
from spikeproof.tests.reproduce.conftest import cell

PAPER = (("RAT", 6.0), ("AT", 15.0), ("SR*", 28.0))


def claims(*ours, chip=None):
    cells = [cell(row, paper, value) for (row, paper), value in zip(PAPER, ours, strict=True)]
    if chip is not None:
        cells[0] = cell("RAT", 6.0, ours[0], chip)
    return order(cells)


@pytest.mark.parametrize(
    ("ours", "holds", "here"),
    [
        ((1.0, 2.0, 3.0), True, "float: the same; chip: the same"),
        ((2.5, 2.0, 3.0), False, "float: but RAT > AT; chip: but RAT > AT"),
        ((1.0, 3.0, 3.0), None, "float: but SR* = AT; chip: but SR* = AT"),
    ],
)
def test_order_names_the_pairs_that_stand_otherwise(ours, holds, here):
    (claim,) = claims(*ours)
    assert (claim.says, claim.holds, claim.here) == ("PGD10: SR* > AT > RAT.", holds, here)


def test_order_has_to_be_the_same_on_the_chip():
    (claim,) = claims(1.0, 2.0, 3.0, chip=9.0)
    assert claim.holds is False
    assert claim.here.startswith("float: the same; chip: but RAT")


def test_order_says_nothing_where_the_paper_prints_nothing():
    assert order([cell("AT", None, 1.0), cell("RAT", None, 2.0)]) == []
    assert order([cell("AT", 0.0, 1.0), cell("RAT", 0.0, 2.0)]) == []


def rows(first, second):
    return [
        cell(row, None, value, column=column)
        for column, values in (("FGSM", first), ("random", second))
        for row, value in zip(("0", "8"), values, strict=True)
    ]


@pytest.mark.parametrize(("second", "holds"), [((9.0, 5.0), True), ((9.0, 1.0), False)])
def test_below_compares_columns_in_every_row(second, holds):
    claim = below("FGSM", "random", "Noise is weaker.")(rows((9.0, 2.0), second))[0]
    assert (claim.holds, claim.here) == (holds, f"float: 9 and 9, 2 and {second[1]:g}")


def test_falls_looks_at_both_ends():
    cells = [cell(f"λ = {k}", None, value) for k, value in enumerate((3.0, 4.0, 1.0))]
    found = together(falls("PGD10", "It falls."), falls("PGD10", "It rises.", rises=True))(cells)
    assert [claim.holds for claim in found] == [True, True, False, False]


def test_rows_rise_in_the_order_that_is_given():
    cells = [cell("SR", None, 1.0), cell("vanilla", None, 2.0)]
    for names, holds in ((("SR", "vanilla"), True), (("vanilla", "SR"), False)):
        assert rows_rise("PGD10", "It rises.", rows=names)(cells)[0].holds is holds


def test_falls_tells_both_ends_and_cannot_tell_where_they_are_equal():
    level = [cell("λ = 0", None, 2.0), cell("λ = 1", None, 2.0)]
    claim = falls("PGD10", "It falls.")(level)[0]
    assert (claim.holds, claim.here) == (None, "float: λ = 0 2, λ = 1 2")
