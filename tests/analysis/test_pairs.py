"""Networks on pictures, on recordings and on both, compared scene by scene."""

from dataclasses import replace

import numpy as np
import pytest

from spikeproof.analysis.pairs import BOTH, PairsConfig, compare_pairs, table
from spikeproof.core.errors import ConfigError, DataError
from spikeproof.datasets.image_data import ImageData
from spikeproof.train.config import change
from spikeproof.train.presets import preset

VIEWS = ("recordings", "pictures")
CONFIG = PairsConfig(epsilons=(1 / 255, 32 / 255))
QUICK = {
    **{"epochs": 2, "batch_size": 8, "steps": 1, "widths": (4, 4), "hidden": (8,)},
    **{"validation_steps": 1, "select_by": "clean", "frame_size": 8},
}


def view(seed, *, count=40):
    """Bright left or right halves, as frames of one step."""
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = draw.integers(0, 60, (count, 2, 8, 8), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, :, 4 * label : 4 * label + 4] += 190
    parts = {"train_images": images, "test_images": images, "train_labels": labels}
    return ImageData(name="halves", **parts, test_labels=labels, classes=("0", "1"), steps=1)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    views = {name: view(seed) for seed, name in enumerate(VIEWS)}
    recipe = change(preset("pairs-vanilla"), QUICK)
    return compare_pairs(CONFIG, recipe, views, tmp_path_factory.mktemp("pairs"))


def test_every_network_is_measured_on_every_view(found):
    rows = {(row["trained on"], row["shown"]): row for row in found["rows"]}
    assert set(rows) == {(name, shown) for name in (*VIEWS, BOTH) for shown in VIEWS}
    for row in rows.values():
        assert row["samples"] == 40
        assert row["clean"] >= row["pgd10 ±1"] >= row["pgd10 ±32"]


def test_tests_count_the_scenes_that_only_one_gets_right(found):
    rows = {(row["trained on"], row["shown"]): row for row in found["rows"]}
    assert len(found["tests"]) == (3 + 2 * 3) * len(CONFIG.columns)
    for test in found["tests"]:
        first, second = (rows[tuple(test[end])][test["column"]] for end in ("first", "second"))
        assert test["both"] + test["only_first"] == first
        assert test["both"] + test["only_second"] == second
        assert 0 <= test["p"] <= 1


def test_table_has_a_line_a_row_and_a_line_a_test(found):
    lines = table(found, CONFIG.columns).splitlines()
    assert len(lines) == 2 + len(found["rows"]) + 1 + 2 + len(found["tests"])


def test_other_scenes_and_radii_are_refused(tmp_path):
    views = {"a": view(0), "b": replace(view(1), test_labels=1 - view(1).test_labels)}
    with pytest.raises(DataError, match="expected the same scenes in halves and halves"):
        compare_pairs(CONFIG, preset("pairs-vanilla"), views, tmp_path)
    with pytest.raises(ConfigError, match="expected different radii, got"):
        PairsConfig(epsilons=())
