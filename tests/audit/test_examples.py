from spikeproof.audit.examples import EACH


def test_examples_are_right_clean_and_wrong_adversarial_on_the_chip(finished):
    shown = finished["examples"]
    assert [example["kind"] for example in shown] == ["worst"] * EACH + ["typical"] * EACH
    for example in shown:
        clean, adversarial = example["said"]["hardware"]
        assert clean == example["label"]
        assert adversarial != example["label"]


def test_worst_examples_are_no_typical_ones(finished):
    shown = {kind: set() for kind in ("worst", "typical")}
    for example in finished["examples"]:
        shown[example["kind"]].add(example["sample"])
    assert not shown["worst"] & shown["typical"]
