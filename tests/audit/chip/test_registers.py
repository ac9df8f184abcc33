"""Headroom: what images can do to the registers of one neuron is known by hand."""

from spikeproof.audit.chip.registers import RAIL, headroom
from spikeproof.tests.audit.chip.conftest import GREY, STEPS, planted


def found(asked, register, population="a"):
    (row,) = (
        r for r in headroom(asked) if (r["population"], r["register"]) == (population, register)
    )
    return row


def test_attack_reaches_what_an_image_can_do_at_most(ask):
    row = found(ask(planted(weight=3, signs=(1, -1, 1, 1))), "u")
    assert row["clean"] == 64 * 3 * 2 * GREY
    assert row["reached"] == 64 * 3 * (2 * GREY + 4 * 20)
    assert row["bound"] == 64 * 3 * 3 * 255
    assert row["margin"] == RAIL - row["reached"]


def test_v_is_driven_through_all_steps(ask):
    row = found(ask(planted(weight=2)), "v above")
    assert row["reached"] == STEPS * 64 * 2 * 4 * (GREY + 20)
    assert row["holds"]


def test_v_is_driven_below_by_its_own_attack(ask):
    row = found(ask(planted(weight=-2)), "v below")
    assert row["reached"] == STEPS * 64 * 2 * 4 * (GREY + 20)


def wrapping_weight(level):
    """The least weight with which four pixels of a level drive u to its end."""
    return -(-RAIL // (64 * 4 * level))


def test_u_that_can_be_driven_to_wrap_is(ask):
    row = found(ask(planted(weight=wrapping_weight(GREY + 15))), "u")
    assert row["clean"] < RAIL <= row["reached"]
    assert (row["overflows"], row["certified"], row["holds"]) == (3, False, True)


def test_u_that_no_image_of_the_ball_makes_wrap_keeps_its_headroom(ask):
    row = found(ask(planted(weight=wrapping_weight(GREY + 25))), "u")
    assert row["overflows"] == 0
    assert 0 < row["margin"] < RAIL // 10


def test_larger_balls_leave_no_more_headroom(ask):
    margins = [found(ask(planted(weight=3), levels=k), "u")["margin"] for k in (5, 20, 60)]
    assert margins == sorted(margins, reverse=True)


def test_a_false_certificate_is_caught(ask, monkeypatch):
    from spikeproof.audit.chip import registers

    true = registers.certify

    def false(program, *, steps):
        return true(planted(weight=1), steps=steps)

    monkeypatch.setattr(registers, "certify", false)
    assert not found(ask(planted(weight=3)), "u")["holds"]
