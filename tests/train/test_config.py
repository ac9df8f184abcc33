from dataclasses import replace
from itertools import product

import pytest
import torch

from spikeproof.attacks.lattice import ThreatModel
from spikeproof.core.errors import ConfigError
from spikeproof.datasets.images import ImageData
from spikeproof.train.config import (
    NetworkOptions,
    Recipe,
    TrainConfig,
    change,
    parse_settings,
    read_toml,
)
from spikeproof.train.methods import METHODS
from spikeproof.train.network import SpikingNetwork
from spikeproof.train.objective import objective
from spikeproof.train.presets import INPUTS, PRESETS, SOURCE_SEEDS, preset


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "expected epochs >= 1, got 0; correct it"),
        ({"learning_rate": 0.0}, "expected learning_rate > 0, got"),
        ({"learning_rate": float("nan")}, "expected learning_rate > 0, got nan"),
        ({"momentum": 1.0}, "expected momentum >= 0 and < 1, got 1.0"),
        ({"holdout": -0.1}, "expected holdout >= 0 and < 1"),
        ({"batch_size": 0}, "expected batch_size >= 1"),
        ({"batch_size": 10**25}, "expected batch_size >= 1 and < 2147483648, got 1000"),
        ({"seed": -1}, "expected seed >= 0"),
        ({"validation_epsilon": 0.0039}, r"expected validation_epsilon >= 0\.0039215.*got 0\.0039"),
        ({"method": "fgsm"}, "expected a method among vanilla, at, rat, .*, got 'fgsm'"),
        ({"method": "at", "attack": "cw"}, "expected attack to be one of pgd, pgd-l2, fgsm"),
        ({"method": "at", "epsilon": 1.0}, "expected epsilon > 0 and < 1, got 1.0; correct it"),
        (
            {"method": "at", "attack": "pgd-l2", "epsilon": 1.5},
            r"expected attack_steps \* attack_step_size of at least epsilon 1.5 .* to 0.75",
        ),
        (
            {"method": "at", "attack": "fgsm", "attack_steps": 7},
            "expected no attack_steps with attack 'fgsm', got 7",
        ),
        ({"method": "trades", "attack": "fgsm"}, "expected no attack with method 'trades'"),
        ({"method": "at", "trades_weight": 5.0}, "expected no trades_weight with method 'at'"),
        ({"orthogonality_weight": 0.1}, "expected no orthogonality_weight with method 'vanilla'"),
        ({"method": "trades", "trades_weight": 0.0}, "expected trades_weight > 0, got 0.0"),
        ({"epsilon": 0.1}, "expected no epsilon with method 'vanilla', got 0.1"),
        ({"method": "at", "penalty_weight": 0.1}, "expected no penalty_weight with method 'at'"),
        (
            {"select_by": "test"},
            "expected select_by to be one of robust, clean, got 'test'; choose one",
        ),
        ({"precision": "16-mixed"}, "expected precision to be one of 32-true, bf16-mixed"),
        (
            {"memory_format": "last"},
            "expected memory_format to be one of contiguous, channels_last",
        ),
        ({"neuron_kernel": "cuda"}, "expected neuron_kernel to be one of fused, compiled, triton"),
    ],
)
def test_impossible_trainings_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**values)


def test_settings_are_read_by_the_type_of_their_field():
    words = ["method=at", "epochs=3", "epsilon=8/255", "augment=false", "widths=[8, 16]", "hidden="]
    recipe = change(Recipe(), parse_settings(words))
    assert recipe.train == TrainConfig(method="at", epochs=3, epsilon=8 / 255, augment=False)
    assert recipe.network == NetworkOptions(widths=(8, 16), hidden=())


def test_settings_leave_the_rest_of_a_recipe():
    base = preset("digits-at")
    assert change(base, {"seed": 4}) == Recipe(
        train=replace(base.train, seed=4), network=base.network
    )


def test_toml_and_settings_mean_the_same(tmp_path):
    file = tmp_path / "a.toml"
    file.write_text('method = "at"\nepsilon = "8/255"\nwidths = [8, 16]\nlearning_rate = 1\n')
    words = ["method=at", "epsilon=8/255", "widths=8,16", "learning_rate=1"]
    assert change(Recipe(), read_toml(file)) == change(Recipe(), parse_settings(words))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, "expected keys among architecture, attack, .* got epoch; correct"),
        ({"epochs": "3.5"}, "expected epochs to be a whole number, got '3.5'"),
        ({"epochs": True}, "expected epochs to be a whole number, got True"),
        ({"epsilon": "1/0"}, "expected epsilon to be a number, got '1/0'"),
        ({"augment": "yes"}, "expected augment to be true or false, got 'yes'"),
        ({"widths": 3}, "expected widths to be a list of int, got 3"),
        ({"method": 3}, "expected method to be text, got 3"),
    ],
)
def test_unreadable_settings_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        change(Recipe(), values)


@pytest.mark.parametrize("word", ["epochs", "=3", " =3"])
def test_words_without_key_and_value_are_refused(word):
    with pytest.raises(ConfigError, match="expected key=value, got"):
        parse_settings([word])


@pytest.mark.parametrize("text", [None, "epochs = "])
def test_missing_and_broken_toml_files_are_refused(text, tmp_path):
    if text is not None:
        (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"expected a TOML file at .*a\.toml, got"):
        read_toml(tmp_path / "a.toml")


def test_options_take_what_the_data_decides(digits):
    config = NetworkOptions(steps=5).network(digits)
    assert (config.architecture, config.input_shape, config.classes) == (
        "digits-conv",
        (1, 8, 8),
        10,
    )
    pixels = digits.train_images.astype(float)
    assert config.steps == 5
    assert config.mean == (round(pixels.mean()),)
    assert config.std == pytest.approx((pixels.std() / 255,))


def test_options_refuse_an_unusual_size_without_an_architecture(digits):
    small = {name: getattr(digits, name)[:, :, :6] for name in ("train_images", "test_images")}
    data = ImageData(
        name="small",
        train_labels=digits.train_labels,
        test_labels=digits.test_labels,
        classes=digits.classes,
        **small,
    )
    with pytest.raises(ConfigError, match="expected an architecture for images of 6x8, got none"):
        NetworkOptions().network(data)


SMALL_ALREADY = ("digits", "nmnist", "aedat", "pairs")


def test_presets_cover_every_data_set_and_method():
    full = {f"{dataset}-{method}" for dataset, method in product(INPUTS, METHODS)}
    small = {f"{name}-small" for name in full if name.split("-")[0] not in SMALL_ALREADY}
    methods = {name for name in PRESETS if "-source-" not in name}
    assert methods == full | small
    assert all(name.split("-")[1] == PRESETS[name].train.method for name in methods)


def test_sources_are_trained_adversarially_from_seeds_of_their_own():
    sources = {n: recipe for n, recipe in PRESETS.items() if "-source-" in n}
    assert {n.split("-")[2] for n in sources} == set(SOURCE_SEEDS)
    for name, recipe in sources.items():
        assert (recipe.train.method, recipe.train.seed) == ("at", SOURCE_SEEDS[name.split("-")[2]])


@pytest.mark.parametrize("name", PRESETS)
def test_preset_builds_its_network_and_objective(name):
    recipe, (shape, classes) = preset(name), INPUTS[name.split("-")[0]]
    mean, std = (0,) * shape[0], (0.25,) * shape[0]
    config = recipe.network.shaped(shape, classes=classes, mean=mean, std=std)
    with torch.device("meta"):
        network = SpikingNetwork(config)
        frames = (config.steps,) if config.encoding == "frames" else ()
        assert network(torch.zeros(*frames, 2, *shape)).shape == (2, classes)
    parts, method = objective(recipe.train), METHODS[recipe.train.method]
    assert (parts.attack is not None, parts.after_step is not None) == (
        method.attack,
        method.is_orthogonal,
    )


def test_dvs_presets_are_the_published_settings():
    recipe = preset("dvs-srstar")
    assert recipe.network == NetworkOptions(
        architecture="vgg11", encoding="frames", steps=10, frame_size=48, frame_unit=32
    )
    assert (recipe.train.method, recipe.train.batch_size, recipe.train.attack) == (
        *("srstar", 24),
        "fgsm",
    )


def test_dvs_presets_measure_lengths_in_published_frames():
    train, cell = preset("dvs-srstar").train, 32 / 255
    assert train.epsilon / cell == pytest.approx(2 / 255)
    assert train.penalty_step / cell == pytest.approx(0.01)
    assert train.penalty_weight / cell**2 == pytest.approx(0.002)
    assert train.validation_epsilon / cell == pytest.approx(8 / 255)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_validated_where_a_pixel_can_move(name):
    assert ThreatModel(epsilon=preset(name).train.validation_epsilon).levels >= 1


@pytest.mark.parametrize("dataset", INPUTS)
def test_trades_trains_within_the_radius_of_the_other_attacks(dataset):
    trades, at = preset(f"{dataset}-trades").train, preset(f"{dataset}-at").train
    assert trades.epsilon == at.epsilon
    assert trades.attack_step_size * trades.attack_steps >= 2 * trades.epsilon


def test_presets_for_frames_refuse_images(digits):
    with pytest.raises(ConfigError, match="expected encoding 'direct' for the images of digits"):
        preset("dvs-at").network.network(digits)


@pytest.mark.parametrize(
    "options", [{"frame_unit": 3}, {"frame_binning": "time"}, {"frame_size": 8}]
)
def test_options_for_frames_are_refused_with_images(digits, options):
    with pytest.raises(ConfigError, match="expected no frame_.* for images, got"):
        NetworkOptions(**options).network(digits)


def test_cifar_presets_are_the_published_settings():
    recipe = preset("cifar-srstar")
    assert recipe.network.architecture == "vgg11"
    assert recipe.network.steps == 8
    assert recipe.train == TrainConfig(method="srstar", penalty_weight=0.002)
    assert preset("cifar-sr").train.penalty_weight == 0.008
    assert preset("cifar100-srstar").network.architecture == "wrn16-4"
    assert preset("cifar100-srstar").train.penalty_weight == 0.001
    assert preset("cifar100-sr").train.penalty_weight == 0.002


def test_defaults_are_table_5():
    config = TrainConfig()
    assert (config.learning_rate, config.momentum, config.weight_decay) == (0.1, 0.9, 5e-4)
    assert (config.batch_size, config.epochs, config.penalty_step) == (64, 200, 0.01)
    assert (config.epsilon, config.attack_steps, config.attack_step_size) == (2 / 255, 5, 0.01)


def test_rat_has_no_weight_decay_but_its_own_regulariser():
    config = preset("cifar-rat").train
    assert (config.weight_decay, config.orthogonality_weight) == (0.0, 5e-4)


def test_unknown_presets_are_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"expected a preset among digits-vanilla, .*got 'x-at'"):
        preset("x-at")
