import torch

from spikeproof.analysis.gradients import label_gradient, label_probability, norms


def test_gradient_is_that_worked_out_by_hand(linear, samples):
    found = label_gradient(linear, samples.images, samples.labels)
    expected = linear.slope(samples.images, samples.labels)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_norms_are_those_of_the_known_gradient(linear, samples):
    found = norms(label_gradient(linear, samples.images, samples.labels))
    expected = linear.slope(samples.images, samples.labels).flatten(1)
    torch.testing.assert_close(found.l1, expected.abs().sum(1), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.l2, expected.norm(dim=1), rtol=1e-4, atol=1e-6)
    assert found.l0.tolist() == [6] * len(samples)


def test_norms_count_exact_zeros_only():
    found = norms(torch.tensor([[0.0, 1e-30, -2.0, 0.0], [0.0, 0.0, 0.0, 0.0]]))
    assert found.l0.tolist() == [2, 0]
    assert found.l1.tolist() == found.l2.tolist() == [2.0, 0.0]


def test_rival_is_kept_where_it_was_chosen(linear, samples):
    f = label_probability(linear, samples.images, samples.labels)
    elsewhere = 1.0 - samples.images
    logits, own = linear(elsewhere), samples.labels
    others = linear(samples.images).scatter(1, own[:, None], -torch.inf).argmax(1)
    picked = [logits.gather(1, index[:, None])[:, 0] for index in (own, others)]
    torch.testing.assert_close(f(elsewhere), (picked[0] - picked[1]).sigmoid())
