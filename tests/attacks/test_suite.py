import pytest

from spikeproof.attacks.attack import Attack
from spikeproof.attacks.noise import Noise
from spikeproof.attacks.suite import ATTACKS, SHARPEST, SUITES, Suite, attack_named, suite_named
from spikeproof.core.errors import ConfigError
from spikeproof.sim.gradients.estimators import ESTIMATORS


def test_every_attack_is_listed_by_its_name():
    assert all(attack.name == name for name, attack in ATTACKS.items())
    assert attack_named("pgd30").steps == 30
    paper = [ATTACKS[name] for name in SUITES["paper"].attacks if name.startswith("pgd")]
    assert [attack.step_size for attack in paper] == [0.01, 0.01, 0.01]


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_holds_known_attacks_only(name):
    members = suite_named(name).members(("exact",))
    assert tuple(member.name for member in members) == SUITES[name].attacks


def test_suite_crosses_attacks_with_estimators_and_restarts_random_ones():
    members = suite_named("quick").members(("triangle", "rga"), restarts=3)
    found = [(member.name, member.estimator, member.restarts) for member in members]
    assert found == [
        ("fgsm", "triangle", 1),
        ("fgsm", "rga", 1),
        ("pgd10-scaled", "triangle", 3),
        ("pgd10-scaled", "rga", 3),
        ("apgd10", "triangle", 3),
        ("apgd10", "rga", 3),
    ]


def test_suite_runs_noise_once_whatever_the_estimators():
    members = Suite(name="own", attacks=("noise",)).members(("triangle", "rga"), restarts=2)
    assert members == (Noise(name="noise", restarts=2),)


def test_paper_suite_counts_last_iterates_except_for_apgd(toy, batch, threat):
    paper, quick = suite_named("paper"), suite_named("quick")
    for attack in (ATTACKS["pgd10"], ATTACKS["apgd10"]):
        found = attack(toy, **batch, threat=threat, seed=0)
        published = found.fooled_last if attack.name == "pgd10" else found.fooled_any
        assert paper.fooled(attack, found) is published
        assert quick.fooled(attack, found) is found.fooled_any


def test_full_suite_contains_the_published_one():
    full, paper = suite_named("full"), suite_named("paper")
    assert set(full.members(full.estimators)) >= set(paper.members(paper.estimators))
    assert not full.as_published


def test_full_suite_pursues_with_the_first_of_a_ranking():
    found = suite_named("full").pursuers(SHARPEST, restarts=2)
    assert set(SHARPEST) <= set(ESTIMATORS)
    by_name = {a.name: [b.estimator for b in found if b.name == a.name] for a in found}
    assert by_name["sapgd100"] == by_name["apgd50"] == list(SHARPEST[:5])
    assert by_name["apgd50-f_y"] == list(SHARPEST[:3])
    assert by_name["square2000"] == [None]
    assert {a.restarts for a in found if a.is_random} == {2}


def test_exhaustive_suite_pursues_with_every_estimator():
    found = suite_named("exhaustive").pursuers(tuple(ESTIMATORS))
    tried = {(a.name, a.estimator) for a in found}
    assert tried >= {
        (name, e) for name in ("sapgd100", "sapgd100-dlr", "apgd50-t") for e in ESTIMATORS
    }
    assert suite_named("exhaustive").attacks == suite_named("full").attacks


def test_waves_meet_a_network_without_spikes_once():
    found = [(a.name, a.estimator) for a in suite_named("full").pursuers(("exact",))]
    assert len(found) == len(set(found)) == 7


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(
        ConfigError,
        match=r"suite among quick, paper, paper-frames, full, .*, got 'weak'; choose one",
    ):
        suite_named("weak")
    with pytest.raises(ConfigError, match=r"attack among noise, corners, .* got 'cw'; choose one"):
        attack_named("cw")


def test_an_attack_without_steps_of_its_own_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        Attack(name="none", steps=1)  # type: ignore[abstract]
