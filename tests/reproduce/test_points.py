from spikeproof.reproduce.points import ENSEMBLES, levels


def test_radii_are_multiples_of_the_usual_one_each_once():
    assert levels(8) == [0, 2, 4, 8, 16, 32]
    assert levels(1) == [0, 1, 2, 4]
    assert levels(128)[-1] == 255


def test_ensembles_are_those_of_the_table():
    alone, four, thirty = ENSEMBLES.values()
    assert (alone, len(four), len(thirty)) == (("triangle",), 4, 30)
    assert set(alone) <= set(four)
    assert set(alone) <= set(thirty)
