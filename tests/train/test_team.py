"""Several processes train as one does."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from spikeproof.core.errors import ConfigError, MissingAbilityError
from spikeproof.datasets.images import load
from spikeproof.tests.train.tiny import TINY
from spikeproof.train.adversarial import TrainingAttack
from spikeproof.train.config import TrainConfig
from spikeproof.train.loop import run
from spikeproof.train.network import SpikingNetwork
from spikeproof.train.processes import Processes, is_follower, start
from spikeproof.train.team import ALONE, Share, Team
from spikeproof.train.training import Training, fresh

CONFIG = TrainConfig(
    method="srstar",
    epochs=1,
    batch_size=16,
    attack_steps=2,
    attack_step_size=0.001,
    penalty_weight=0.002,
    holdout=0.2,
    validation_steps=1,
)
LIMIT = 124
"""99 images to train on: of the three in the last batch, one process sees two, the other one."""

PROGRAM = """
import sys
from pathlib import Path
from spikeproof.datasets.images import load
from spikeproof.tests.train.tiny import TINY
from spikeproof.tests.train.test_team import CONFIG, LIMIT, freeze_norms
from spikeproof.tests.train.tiny import TINY
from spikeproof.train.loop import run

freeze_norms()
run(CONFIG, TINY, load("digits", limit=LIMIT), Path(sys.argv[1]), devices=2)
"""


def freeze_norms() -> None:
    """From now on every network keeps its batch norms' statistics: processes see other samples."""

    def still(self: SpikingNetwork, mode: bool = True) -> SpikingNetwork:
        del mode
        nn.Module.train(self, False)
        return self

    SpikingNetwork.train = still


@pytest.fixture
def frozen_norms(monkeypatch):
    monkeypatch.setattr(SpikingNetwork, "train", SpikingNetwork.train)
    freeze_norms()


@pytest.fixture
def together(tmp_path):
    """The folder of a training in two processes."""
    program, out = tmp_path / "program.py", tmp_path / "together"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.parametrize("count", [1, 2, 5, 6])
def test_shares_are_the_whole_batch_and_weigh_as_much(count):
    batch = torch.arange(count)
    shares = [Share(count=count, rank=rank, world=3) for rank in range(3)]
    seen = torch.cat([share.of(batch) for share in shares if share.weight])
    assert sorted(seen.tolist()) == batch.tolist()
    means = [share.weight * share.of(batch).double().mean().item() for share in shares]
    assert sum(means) == pytest.approx(batch.double().mean().item())


def test_share_of_nothing_is_a_stand_in_without_weight():
    share = Share(count=1, rank=1, world=2)
    assert (share.of(torch.tensor([7])).tolist(), share.weight) == ([7], 0.0)


def test_attack_starts_belong_to_the_sample(make_network, images, labels):
    attack = TrainingAttack(epsilon=0.1, step_size=1e-6, steps=1)

    def attacked(share, x, y):
        draws = torch.Generator().manual_seed(1)
        return attack(make_network(), x, y, draws=draws, share=share)

    whole = attacked(None, images, labels)
    for rank in range(2):
        share = Share(count=6, rank=rank, world=2)
        part = attacked(share, share.of(images), share.of(labels))
        torch.testing.assert_close(part, share.of(whole), rtol=0, atol=3e-6)


@pytest.mark.usefixtures("frozen_norms")
def test_two_processes_equal_one_with_the_doubled_batch(together, tmp_path):
    alone = run(
        replace(CONFIG, batch_size=32), TINY, load("digits", limit=LIMIT), tmp_path / "alone"
    )
    ours, theirs = (load_file(f / "last.safetensors") for f in (alone.folder, together))
    for name, tensor in ours.items():
        torch.testing.assert_close(theirs[name], tensor, rtol=1e-4, atol=1e-5)
    assert json.loads((together / "record.json").read_text())["processes"] == 2
    (entry,) = (together / "metrics.jsonl").read_text().splitlines()
    assert json.loads(entry)["loss"] == pytest.approx(alone.metrics[0]["loss"], abs=1e-5)


def test_running_statistics_become_the_mean_of_the_processes(monkeypatch, digits):
    training = Training(
        CONFIG, fresh(TINY, CONFIG), digits, fabric=start(Processes(device="cpu"), "32-true")[0]
    )
    training.team = Team(rank=0, world=2)
    ours, theirs = 2.0, 5.0
    buffers = dict(training.network.named_buffers())
    statistics = [buffers[f"layers.norm1.running_{name}"].fill_(ours) for name in ("mean", "var")]
    other = torch.full((2 * sum(TINY.widths),), theirs)
    monkeypatch.setattr("torch.distributed.all_reduce", lambda sums: sums.add_(other / 2))
    training._share_statistics()
    for statistic in statistics:
        torch.testing.assert_close(statistic, torch.full_like(statistic, (ours + theirs) / 2))


def as_torchrun(monkeypatch, *, rank=0, here=2, everywhere=4):
    for key, value in (("RANK", rank), ("LOCAL_RANK", rank % here), ("WORLD_SIZE", everywhere)):
        monkeypatch.setenv(key, str(value))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(here))


def test_torchrun_tells_devices_and_nodes(monkeypatch):
    assert Processes().counts == (1, 1)
    as_torchrun(monkeypatch)
    assert Processes().counts == (2, 2)
    with pytest.raises(ConfigError, match="the 4 processes that torchrun started, got 3 devices"):
        Processes(devices=3)


@pytest.mark.parametrize(("rank", "follows"), [(0, False), (2, True)])
def test_only_the_first_process_speaks(monkeypatch, rank, follows):
    as_torchrun(monkeypatch, rank=rank)
    assert is_follower() is follows


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"devices": 0}, "expected at least one device and one node, got 0 and None"),
        ({"nodes": -1}, "expected at least one device and one node, got None and -1"),
        ({"device": "cuda:1", "devices": 2}, "a device without a number for several processes"),
    ],
)
def test_impossible_processes_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        Processes(**values)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_absent_gpus_are_a_missing_ability():
    with pytest.raises(MissingAbilityError, match="expected a CUDA device for 'cuda', got none"):
        start(Processes(device="cuda", devices=2), "32-true")


def test_one_process_needs_no_team():
    assert start(Processes(), "32-true")[1] is ALONE
