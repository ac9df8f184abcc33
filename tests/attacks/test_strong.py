"""MI-FGSM, SA-PGD, targeted APGD and RayS against slow loops and known answers."""

from itertools import accumulate

import pytest
import torch

from spikeproof.attacks.apgd import TargetedAPGD, checkpoint_lengths
from spikeproof.attacks.lattice import ThreatModel
from spikeproof.attacks.loss import dlr, margin, targeted_dlr
from spikeproof.attacks.mifgsm import MIFGSM
from spikeproof.attacks.rays import RayS
from spikeproof.attacks.sa_pgd import SAPGD
from spikeproof.attacks.target import FunctionTarget

CLEAR = ThreatModel(epsilon=0.1, lattice=False)


def gradient(toy, x, label):
    x = x.detach().requires_grad_(True)
    loss = torch.nn.functional.cross_entropy(toy(x), label, reduction="sum")
    return torch.autograd.grad(loss, x)[0]


def clip(x, image):
    return x.clamp(image - 0.1, image + 0.1).clamp(0, 1)


def test_mifgsm_equals_a_slow_loop(toy, batch):
    found = MIFGSM(name="m", steps=5)(toy, **batch, threat=CLEAR, seed=0).last
    for n in range(6):
        image, label = batch["images"][n : n + 1], batch["labels"][n : n + 1]
        x, momentum = image, torch.zeros_like(image)
        for _ in range(5):
            g = gradient(toy, x, label)
            momentum = momentum + g / g.abs().mean()
            x = clip(x + 0.02 * momentum.sign(), image)
        torch.testing.assert_close(found[n : n + 1], x)


def test_sa_pgd_equals_a_slow_loop(toy, batch):
    found = SAPGD(name="s", steps=12)(toy, **batch, threat=CLEAR, seed=0).last
    starts = SAPGD(name="s", steps=0)(toy, **batch, threat=CLEAR, seed=0).last
    halved = set(accumulate(checkpoint_lengths(12)))
    for n in range(6):
        image, label = batch["images"][n : n + 1], batch["labels"][n : n + 1]
        x, m, q, size = starts[n : n + 1], 0.0, 0.0, 0.1
        for step in range(1, 13):
            g = gradient(toy, x, label)
            m, q = 0.5 * m + g / g.abs().mean(), 0.8 * q + g**2 / (g**2).mean()
            x = clip(x + (size * m / (q.sqrt() + 1e-12)).clamp(-size, size), image)
            size = size / 2 if step in halved else size
        torch.testing.assert_close(found[n : n + 1], x, atol=1e-5, rtol=1e-4)


def test_losses_of_ratios_do_not_see_the_scale_of_logits():
    logits = torch.tensor([[4.0, 1.0, 3.0, 0.0], [1.0, 2.0, 5.0, 4.0]])
    labels, wanted = torch.tensor([0, 1]), torch.tensor([2, 0])
    assert margin(logits, labels).tolist() == [-1.0, 3.0]
    assert dlr(logits, labels).tolist() == pytest.approx([-1 / 3, 3 / 3])
    assert targeted_dlr(wanted)(logits, labels).tolist() == pytest.approx([-1 / 3.5, -1 / 3.5])
    for loss in (dlr, targeted_dlr(wanted)):
        torch.testing.assert_close(loss(logits * 1e4, labels), loss(logits, labels))


def test_targeted_apgd_tries_each_wrong_class_from_its_own_start(toy, batch, threat):
    found = TargetedAPGD(name="t", steps=4)(toy, **batch, threat=threat, seed=0)
    assert found.queries == 1 + 2 * 5, "three classes leave two targets"
    one = TargetedAPGD(name="t", steps=4, targets=1)(toy, **batch, threat=threat, seed=0)
    assert one.queries == 1 + 5
    assert (found.fooled_any >= one.fooled_any).all()


@pytest.mark.parametrize(("epsilon", "fools"), [(21, True), (19, False)])
def test_rays_finds_the_nearest_corner_from_decisions_alone(epsilon, fools):
    """Classes part where the left half outshines the right by twice twenty levels."""

    def halves(x):
        x = (x * 255).round()
        score = x[..., :2].flatten(1).mean(1) - x[..., 2:].flatten(1).mean(1) - 39.5
        return torch.stack([torch.zeros_like(score), score.sign()], 1)

    images, labels = torch.full((2, 1, 4, 4), 100 / 255), torch.zeros(2, dtype=torch.int64)
    options = {"threat": ThreatModel(epsilon=epsilon / 255), "keys": torch.arange(2), "seed": 0}
    found = RayS(name="r", steps=80)(
        FunctionTarget(halves, name="halves"), images, labels, **options
    )
    assert found.fooled_any.tolist() == [fools] * 2
