from dataclasses import replace

import pytest
import torch

from spikeproof.audit.sources import load_sources
from spikeproof.core.errors import DataError
from spikeproof.datasets.images import load
from spikeproof.train.config import change
from spikeproof.train.loop import run as train
from spikeproof.train.presets import SOURCE_SEEDS, preset


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Barely trained: what is tested is where they come from."""
    data = load("digits", limit=80)
    found = {}
    for name in ("vanilla", "source-same", "source-ann"):
        recipe = change(preset(f"digits-{name}"), {"epochs": 1})
        found[name] = tmp_path_factory.mktemp(name)
        train(recipe.train, recipe.network.network(data), data, found[name] / "run")
    return {name: folder / "run" for name, folder in found.items()}


def test_sources_share_no_first_weights_and_no_seed(folders):
    apart = load_sources([folders["source-same"]], folders["vanilla"])
    seeds = {about["seed"] for about in apart.context["sources"].values()}
    assert seeds == {SOURCE_SEEDS["same"]}
    assert preset("digits-vanilla").train.seed not in SOURCE_SEEDS.values()


def test_an_ann_source_has_the_same_layers_and_the_exact_gradient(folders):
    (target,) = load_sources([folders["source-ann"]], folders["vanilla"]).targets.values()
    assert target.estimators == ("exact",)
    x = torch.rand(2, 1, 8, 8, requires_grad=True)
    target(x).sum().backward()
    assert x.grad is not None
    assert bool((x.grad != 0).any())


def test_a_spiking_source_offers_the_estimators(folders):
    (target,) = load_sources([folders["source-same"]], folders["vanilla"]).targets.values()
    assert "rga" in target.estimators


def test_a_source_with_the_seed_of_the_audited_network_is_refused(folders):
    with pytest.raises(DataError, match=r"trained apart from .* with the same seed 0; train it"):
        load_sources([folders["vanilla"]], folders["vanilla"])


def test_two_sources_with_one_seed_are_refused(folders):
    paths = [folders["source-same"]] * 2
    with pytest.raises(DataError, match="same seed 1001"):
        load_sources(paths, folders["vanilla"])


def test_another_architecture_is_among_the_presets():
    same, other = (preset(f"digits-source-{name}").network for name in ("same", "other"))
    assert same.architecture != other.architecture
    assert preset("digits-source-ann").network == replace(same, neuron="relu", steps=1)
