import pytest

from spikeproof.core.errors import ConfigError
from spikeproof.datasets.images import load
from spikeproof.reproduce.scales import SCALES, blocks_of, data_name, is_of_events
from spikeproof.reproduce.targets import DVS, TARGETS, VGG10, WRN10, WRN100
from spikeproof.reproduce.transfer import L2

METHODS = {"vanilla": "vanilla", "AT": "at", "RAT": "rat", "SR": "sr", "SR*": "srstar"}


@pytest.mark.parametrize("name", TARGETS)
def test_full_scale_has_the_settings_of_the_paper(name):
    for block in TARGETS[name].blocks:
        for row, method in TARGETS[name].rows.items():
            recipe = SCALES["full"].recipe(block, method.removesuffix(L2), seed=0)
            train = recipe.train
            assert METHODS[row.split()[0]] == train.method
            assert (train.epochs, train.learning_rate, train.penalty_form) == (200, 0.1, "squared")
            assert recipe.network.steps == (10 if block is DVS else 8)
            assert recipe.network.neuron == "if"


@pytest.mark.parametrize(
    ("block", "architecture", "weight"),
    [(VGG10, "vgg11", 0.002), (WRN10, "wrn16-4", 0.002), (WRN100, "wrn16-4", 0.001)],
)
def test_blocks_have_their_network_and_weight(block, architecture, weight):
    recipe = SCALES["full"].recipe(block, "srstar", seed=3)
    assert recipe.network.architecture == architecture
    assert (recipe.train.penalty_weight, recipe.train.seed) == (weight, 3)
    small = SCALES["smoke"].recipe(block, "srstar", seed=3).network
    assert small.architecture == {"vgg11": "vgg5", "wrn16-4": "wrn10-1"}[architecture]


def test_scales_rise():
    smoke, subset, full = (SCALES[name] for name in ("smoke", "subset", "full"))
    assert (smoke.limit, subset.limit, full.limit) == (600, None, None)
    assert (smoke.samples, subset.samples, full.samples) == (8, 100, None)


def test_data_are_known_by_spec_or_by_size(tmp_path):
    digits = load("digits", limit=20)
    assert data_name("cifar10-dvs:x") == "dvs"
    assert data_name("npz:x.npz", digits) == "digits"
    with pytest.raises(ConfigError, match="expected data that presets are for, got npz:x.npz; nam"):
        data_name("npz:x.npz")
    assert [is_of_events(spec) for spec in ("digits", "nmnist:x")] == [False, True]


def test_published_data_fill_their_blocks_and_others_stand_in():
    assert blocks_of((VGG10, WRN10, WRN100), "cifar") == (VGG10, WRN10)
    (block,) = blocks_of((VGG10, WRN10), "digits")
    assert (block.label, block.published, block.network) == ("digits", VGG10.label, "digits")
