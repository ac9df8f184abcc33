import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from spikeproof.core.errors import ConfigError, FormatError, MissingAbilityError
from spikeproof.datasets.images import load as load_images
from spikeproof.train.checkpoint import load
from spikeproof.train.loop import run
from spikeproof.train.presets import preset
from spikeproof.train.run_folder import Progress
from spikeproof.train.training import Training, _extend

STEPS = 3
"""Steps an epoch in the quick training: 96 images in batches of 32."""


def without_seconds(metrics):
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in metrics]


def assert_same_tensors(first, second):
    ours, theirs = load_file(first), load_file(second)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture
def straight(quick, tiny_config, digits, tmp_path):
    """A training that nothing interrupts."""
    return run(quick, tiny_config, digits, tmp_path / "straight")


def test_run_keeps_what_it_promises(straight, quick, tiny_config, digits):
    names = {path.name for path in straight.folder.iterdir()}
    assert names == {
        *("best.safetensors", "last.safetensors", "resume.safetensors"),
        *("config.json", "metrics.jsonl", "record.json"),
    }
    config = json.loads((straight.folder / "config.json").read_text())
    assert config["train"] == quick.to_dict()
    record = json.loads((straight.folder / "record.json").read_text())
    assert record["images"] == {"training": 96, "validation": 24}
    assert "PGD2" in record["best"]
    assert load(straight.folder).config == tiny_config


def test_metrics_file_equals_the_result(straight):
    lines = (straight.folder / "metrics.jsonl").read_text().splitlines()
    assert tuple(json.loads(line) for line in lines) == straight.metrics
    assert [entry["epoch"] for entry in straight.metrics] == [1, 2, 3]
    assert [entry["learning_rate"] for entry in straight.metrics] == pytest.approx(
        [0.1, 0.075, 0.025]
    )


def test_same_seed_gives_the_same_weights(straight, quick, tiny_config, digits, tmp_path):
    torch.manual_seed(99)
    again = run(quick, tiny_config, digits, tmp_path / "again")
    assert_same_tensors(straight.folder / "last.safetensors", again.folder / "last.safetensors")
    assert without_seconds(straight.metrics) == without_seconds(again.metrics)


def test_other_seed_gives_other_weights(straight, quick, tiny_config, digits, tmp_path):
    other = run(replace(quick, seed=1), tiny_config, digits, tmp_path / "other")
    key = "layers.conv1.weight"
    files = [result.folder / "last.safetensors" for result in (straight, other)]
    assert not torch.equal(*(load_file(file)[key] for file in files))


@pytest.mark.parametrize("units", [1, STEPS + 2, 2 * STEPS + 1])
def test_interrupted_training_resumes_bit_for_bit(
    units, straight, quick, tiny_config, digits, tmp_path, interrupt_after
):
    out = tmp_path / "resumed"
    with pytest.raises(KeyboardInterrupt):
        run(quick, tiny_config, digits, out, tracker=interrupt_after(units))
    resumed = run(quick, tiny_config, digits, out, resume=True)
    for name in ("last", "best", "resume"):
        file = f"{name}.safetensors"
        assert_same_tensors(straight.folder / file, out / file)
    assert without_seconds(resumed.metrics) == without_seconds(straight.metrics)
    assert without_seconds([resumed.best]) == without_seconds([straight.best])


def test_finished_training_resumes_to_itself(straight, quick, tiny_config, digits):
    before = (straight.folder / "last.safetensors").read_bytes()
    again = run(quick, tiny_config, digits, straight.folder, resume=True)
    assert again == straight
    assert (straight.folder / "last.safetensors").read_bytes() == before


@pytest.mark.parametrize(("accuracies", "best"), [((0.5, 0.9, 0.88), 3), ((0.5, 0.9, 0.7), 2)])
def test_best_is_the_last_epoch_within_a_standard_error_of_the_top(accuracies, best):
    progress = Progress()
    for epoch, accuracy in enumerate(accuracies, start=1):
        entry = {"epoch": epoch, "validation_robust_accuracy": accuracy}
        progress = _extend(progress, entry, "robust", count=100)
    assert progress.best is not None
    assert progress.best["epoch"] == best


def test_test_images_decide_nothing(straight, quick, tiny_config, digits, tmp_path):
    changed = replace(digits, test_images=255 - digits.test_images)
    other = run(quick, tiny_config, changed, tmp_path / "other")
    assert_same_tensors(straight.folder / "best.safetensors", other.folder / "best.safetensors")


def test_vanilla_training_learns(digits, tmp_path):
    recipe = preset("digits-vanilla")
    data = load_images("digits", limit=600)
    config = replace(recipe.train, epochs=3, validation_steps=1)
    result = run(config, recipe.network.network(data), data, tmp_path / "run")
    assert result.best is not None
    assert result.best["validation_accuracy"] > 0.8


def test_training_without_validation_keeps_the_last_network(quick, tiny_config, digits, tmp_path):
    config = replace(quick, epochs=1, holdout=0.0)
    result = run(config, tiny_config, digits, tmp_path / "run")
    assert result.best is None
    assert not (result.folder / "best.safetensors").exists()
    assert load(result.folder).config == tiny_config


def test_clean_selection_attacks_only_the_last_epoch(quick, tiny_config, digits, tmp_path):
    config = replace(quick, epochs=2, select_by="clean")
    result = run(config, tiny_config, digits, tmp_path / "run")
    robust = [entry["validation_robust_accuracy"] for entry in result.metrics]
    assert robust[0] is None
    assert 0 <= robust[1] <= 1


def test_bf16_training_gives_float32_weights(quick, tiny_config, digits, tmp_path):
    config = replace(quick, epochs=1, precision="bf16-mixed")
    result = run(config, tiny_config, digits, tmp_path / "run")
    assert load(result.folder).layers[0].weight.dtype == torch.float32


def test_divergence_names_epoch_step_and_layer(quick, tiny_config, digits, tmp_path):
    config = replace(quick, learning_rate=1e30)
    message = r"got loss nan at epoch 1, step \d \(first not finite: .* of layer 'conv1'\); lower"
    with pytest.raises(ConfigError, match=message):
        run(config, tiny_config, digits, tmp_path / "run")
    assert not (tmp_path / "run" / "last.safetensors").exists()


def test_failure_in_the_first_epoch_leaves_room_for_better_options(
    quick, tiny_config, digits, tmp_path
):
    with pytest.raises(ConfigError, match="expected finite numbers in training"):
        run(replace(quick, learning_rate=1e30), tiny_config, digits, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert run(replace(quick, epochs=1), tiny_config, digits, tmp_path).epochs == 1


def test_failure_after_an_epoch_keeps_it(quick, tiny_config, digits, tmp_path, monkeypatch):
    def broken(self, epoch):
        if epoch == 2:
            raise MemoryError("no more")
        return batches(self, epoch)

    batches = Training._batches
    monkeypatch.setattr(Training, "_batches", broken)
    with pytest.raises(MemoryError):
        run(quick, tiny_config, digits, tmp_path)
    monkeypatch.undo()
    assert run(quick, tiny_config, digits, tmp_path, resume=True).epochs == quick.epochs


def test_folder_with_a_training_is_not_overwritten(straight, quick, tiny_config, digits):
    with pytest.raises(ConfigError, match=r"expected no training in .*, got config\.json"):
        run(quick, tiny_config, digits, straight.folder)


def test_resume_needs_a_training(quick, tiny_config, digits, tmp_path):
    with pytest.raises(ConfigError, match="expected a training to resume in"):
        run(quick, tiny_config, digits, tmp_path / "none", resume=True)


def test_resume_refuses_other_options_and_data(straight, quick, tiny_config, digits):
    with pytest.raises(ConfigError, match=r"other values of train\.epochs \(.* was 3, is 4\)"):
        run(replace(quick, epochs=4), tiny_config, digits, straight.folder, resume=True)
    with pytest.raises(ConfigError, match=r"other values of network\.steps"):
        run(quick, replace(tiny_config, steps=5), digits, straight.folder, resume=True)
    with pytest.raises(ConfigError, match="other values of data"):
        run(quick, tiny_config, digits.first(110), straight.folder, resume=True)


def test_resume_refuses_a_damaged_state(straight, quick, tiny_config, digits):
    state = straight.folder / "resume.safetensors"
    state.write_bytes(state.read_bytes()[:200])
    with pytest.raises(FormatError, match=r"expected a safetensors file at .*resume\.safetensors"):
        run(quick, tiny_config, digits, straight.folder, resume=True)


def test_network_for_other_images_is_refused(quick, tiny_config, digits, tmp_path):
    network = replace(tiny_config, classes=9)
    with pytest.raises(ConfigError, match=r"expected a network for samples \(1, 8, 8\) in 10"):
        run(quick, network, digits, tmp_path / "run")


def test_unknown_devices_are_refused(quick, tiny_config, digits, tmp_path):
    with pytest.raises(ConfigError, match="expected a device cpu or cuda, got 'tpu9'"):
        run(quick, tiny_config, digits, tmp_path / "run", device="tpu9")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_absent_gpu_is_a_missing_ability(quick, tiny_config, digits, tmp_path):
    with pytest.raises(MissingAbilityError, match="expected a CUDA device for 'cuda', got none"):
        run(quick, tiny_config, digits, tmp_path / "run", device="cuda")
