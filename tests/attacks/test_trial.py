import pytest
import torch

from spikeproof.attacks.lattice import ThreatModel
from spikeproof.attacks.target import FunctionTarget
from spikeproof.attacks.trial import Trial
from spikeproof.core.errors import DataError

KEYS = torch.tensor([7, 8, 9])
GREY = torch.full((3, 1, 1, 2), 51 / 255)


def trial(function, **options):
    """Three grey images of two pixels, all of class 0."""
    labels = torch.zeros(3, dtype=torch.int64)
    target = FunctionTarget(function, name="odd")
    threat = ThreatModel(epsilon=0.5)
    return Trial(target, GREY, labels, threat=threat, keys=KEYS, **options)


def pixels(x):
    """Class 1 wins where the second pixel is brighter."""
    return x.flatten(1)


def at(*levels):
    """The same image for all three samples."""
    return (torch.tensor(levels).float() / 255).expand(3, 1, 1, 2)


def test_trial_keeps_worst_first_broken_and_last_point_apart():
    book = trial(pixels)
    for levels in [(60, 40), (50, 70), (10, 90), (60, 60)]:
        book.judge(at(*levels))
    book.end_restart()
    found = book.attempt()
    assert found.fooled_any.all()
    assert not found.fooled_last.any()
    assert torch.equal(found.images, at(10, 90))
    assert torch.equal(found.broken, at(50, 70))
    assert torch.equal(found.last, at(60, 60))
    assert found.queries == 4


def test_trial_keeps_the_first_restart_that_ended_fooled():
    book = trial(pixels)
    for levels in [(60, 40), (50, 70), (10, 90), (60, 60)]:
        book.judge(at(*levels))
        book.end_restart()
    assert book.attempt().fooled_last.all()
    assert torch.equal(book.attempt().last, at(50, 70))


def test_trial_judges_the_rounding_of_the_shadow():
    book = trial(pixels)
    book.judge(at(50.0, 50.4))
    assert not book.attempt().fooled_any.any()
    assert torch.equal(book.attempt().images, at(50, 50))
    book.judge(at(50.0, 50.6))
    assert torch.equal(book.attempt().broken, at(50, 51))


def test_trial_reports_the_share_of_zero_gradients():
    book = trial(lambda x: x[:, 0, 0, :1] * torch.tensor([1.0, 2.0]))
    book.differentiate(GREY)
    book.differentiate(GREY)
    assert book.attempt().zero_gradients.tolist() == [0.5, 0.5, 0.5]


def test_trial_without_gradients_has_no_share_of_zeros():
    book = trial(pixels)
    book.judge(GREY)
    assert book.attempt().zero_gradients.isnan().all()


def test_trial_is_over_only_on_request():
    for asked in (False, True):
        book = trial(pixels, stop_when_all_fooled=asked)
        assert not book.is_over
        book.judge(at(0, 9))
        assert book.is_over is asked


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_trial_refuses_logits_that_are_not_finite(value):
    book = trial(lambda x: x.flatten(1) + torch.tensor([[0.0], [value], [0.0]]))
    with pytest.raises(
        DataError, match=rf"finite logits of target 'odd', got {value} for sample 8"
    ):
        book.judge(GREY)


def test_trial_refuses_gradients_that_are_not_finite():
    book = trial(lambda x: (x.flatten(1) - GREY.flatten(1)).sqrt())
    with pytest.raises(DataError, match=r"finite gradients of target 'odd', got .* for sample 7"):
        book.differentiate(GREY)


def test_trial_refuses_logits_without_a_gradient():
    with pytest.raises(DataError, match=r"expected differentiable logits of target 'odd', got non"):
        trial(lambda x: x.detach().flatten(1)).differentiate(GREY)


def test_trial_refuses_logits_of_another_shape():
    class Flat:
        name, estimators = "flat", ("exact",)

        def __call__(self, x):
            return x

        def using(self, estimator):
            return self

    labels, threat = torch.zeros(3, dtype=torch.int64), ThreatModel(epsilon=0.5)
    book = Trial(Flat(), GREY, labels, threat=threat, keys=KEYS)
    with pytest.raises(DataError, match=r"logits \[3, K\] with K > 0 .*'flat', got \[3, 1, 1, 2\]"):
        book.judge(GREY)


def test_trial_refuses_fewer_classes_than_labels():
    target = FunctionTarget(pixels, name="odd")
    labels, threat = torch.full((3,), 2), ThreatModel(epsilon=0.5)
    book = Trial(target, GREY, labels, threat=threat, keys=KEYS)
    with pytest.raises(DataError, match=r"with K > 2 of target 'odd', got \[3, 2\]"):
        book.judge(GREY)
