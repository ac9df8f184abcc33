"""An audit of a network for recordings: its attacks, what it says, and events that go to disk."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeproof.attacks.lattice import LEVELS, ThreatModel
from spikeproof.attacks.suite import SUITES, attack_named
from spikeproof.audit.config import AuditConfig
from spikeproof.audit.deployed import cells_of, data_context, load_deployed
from spikeproof.audit.plan import Plan
from spikeproof.audit.report.render import render
from spikeproof.audit.validate import run
from spikeproof.core.axes import frames_to_stacks
from spikeproof.core.errors import ConfigError
from spikeproof.datasets.events import check
from spikeproof.datasets.frames import FrameConfig, to_frames
from spikeproof.datasets.images import load
from spikeproof.datasets.recordings import Sensor, read_recording
from spikeproof.datasets.write_back import recording_of, write_recording
from spikeproof.deploy.bundle import read_bundle
from spikeproof.deploy.deployment import DeployConfig
from spikeproof.deploy.deployment import run as deploy
from spikeproof.deploy.executors import run_on_lava, run_twin
from spikeproof.export.to_nir import to_nir
from spikeproof.sim.graph.file import write_nir
from spikeproof.train.checkpoint import save
from spikeproof.train.network import NetworkConfig, SpikingNetwork

SENSOR = Sensor(height=34, width=34)
STEPS, COUNT = 3, 4
CONFIG = NetworkConfig(
    architecture="conv-28",
    input_shape=(2, 16, 16),
    classes=10,
    steps=STEPS,
    widths=(3, 4),
    hidden=(8,),
    encoding="frames",
    frame_binning="time",
    mean=(0, 0),
    std=(1.2, 1.2),
)


def binning(config: NetworkConfig) -> FrameConfig:
    """How a network that counts events bins them."""
    assert config.frames is not None
    return config.frames


FRAMES = binning(CONFIG)


@pytest.fixture(scope="module")
def recordings(shared):
    """Paths of N-MNIST's test recordings, in order."""
    found = (shared / "data" / "NMNIST" / "Test").glob("*/*.bin")
    return sorted(found, key=lambda path: path.stem)[:COUNT]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """A network of random weights and its chip."""
    folder = tmp_path_factory.mktemp("frames")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = SpikingNetwork(CONFIG).eval()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(2.0)
    save(folder / "net.safetensors", network)
    write_nir(folder / "model.nir", to_nir(network))
    deploy(DeployConfig(golden=1), folder / "model.nir", folder / "chip")
    return load_deployed(folder / "net.safetensors", folder / "chip"), folder / "chip"


@pytest.fixture(scope="module")
def stacks(recordings):
    frames = [to_frames(check(read(path)), FRAMES) for path in recordings]
    return frames_to_stacks(np.stack(frames))


def read(path):
    return read_recording(path, sensor=SENSOR)[0]


def threat():
    return ThreatModel(epsilon=1 / LEVELS, cells=cells_of(FRAMES))


@pytest.fixture(scope="module")
def audit(deployed, stacks, tmp_path_factory):
    """An audit with attacks on events; labels are what the float network says."""
    models, _ = deployed
    with torch.no_grad():
        labels = models.float_target(torch.from_numpy(stacks).float() / LEVELS).argmax(1).numpy()
    out = tmp_path_factory.mktemp("audit") / "audit.json"
    config = AuditConfig(
        suite="events",
        epsilon=1 / LEVELS,
        batch_size=COUNT,
        curve=(0, 1),
        cells=cells_of(FRAMES),
        estimators=("triangle-3",),
    )
    context = {**models.context, "data": "nmnist", "frames": FRAMES.to_dict()}
    return run(
        Plan.of(
            config,
            float_target=models.float_target,
            hardware_target=models.hardware_target,
            images=stacks,
            labels=labels.astype(np.int64),
        ),
        out=out,
        context=context,
    ).audit


@pytest.mark.slow
def test_audits_attack_frames_and_events_on_both_sides(audit):
    attacks = {attack["name"]: attack for attack in audit["attacks"]}
    assert list(attacks) == list(SUITES["events"].attacks)
    assert all(None not in attack["events"].values() for attack in attacks.values())
    assert attacks["fgsm"]["budget"] is None
    assert attacks["counts200"]["budget"] == "200 events added or taken away"
    assert attacks["counts200"]["events"]["hardware"] <= 200
    json.dumps(audit)


@pytest.mark.slow
def test_reports_say_what_the_samples_are(audit):
    page = render(audit)
    assert "4 test recordings" in page
    assert "recordings of an event camera as 3 frames of 16x16 cells" in page
    assert "200 events added or taken away" in page
    assert "±1/255 a cell and by budgets of events" in page


def test_the_context_says_how_recordings_became_frames(shared, tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKEPROOF_CACHE", str(tmp_path))
    data = load(f"nmnist:{shared}/data/NMNIST", limit=2, frames=FRAMES)
    said = data_context(data, FRAMES)
    assert (said["frames"]["size"], said["full_cells"]) == ([16, 16], 0)
    binary = replace(FRAMES, cap=1)
    data = load(f"nmnist:{shared}/data/NMNIST", limit=2, frames=binary)
    assert data_context(data, binary)["full_cells"] == 1
    pictures = replace(data, name="mnist-pairs-pictures")
    assert data_context(pictures, binary)["pictures"] == 1
    assert "frames" not in data_context(data)


def test_suites_of_events_refuse_images(deployed, stacks, tmp_path):
    models, _ = deployed
    with pytest.raises(ConfigError, match="expected frames of events, got images"):
        run(
            Plan.of(
                AuditConfig(suite="events"),
                float_target=models.float_target,
                hardware_target=models.hardware_target,
                images=stacks,
                labels=np.zeros(COUNT, np.int64),
            ),
            out=tmp_path / "audit.json",
            context={},
        )


def written(deployed, stacks, recordings, folder, name):
    """What an attack on the chip makes of recordings: its predictions, and the files binned."""
    models, _ = deployed
    chip = models.hardware_target
    x = torch.from_numpy(stacks).float() / LEVELS
    with torch.no_grad():
        labels = chip(x).argmax(1)
    attack = attack_named(name)
    attempt = attack(
        chip.using("triangle-3"), x, labels, threat=threat(), keys=torch.arange(COUNT), seed=0
    )
    found = (attempt.broken * LEVELS).round().to(torch.uint8).numpy()
    with torch.no_grad():
        said = chip(attempt.broken).argmax(1).numpy()
    for path, stack in zip(recordings, found, strict=True):
        frames = stack.reshape(STEPS, 2, 16, 16)
        back = recording_of(frames, read(path), FRAMES).recording
        write_recording(folder / path.name, back)
    binned = [to_frames(read(folder / path.name), FRAMES) for path in recordings]
    return found, frames_to_stacks(np.stack(binned)), said, labels.numpy()


@pytest.mark.parametrize("name", ["counts200", "retiming-far1"])
def test_files_of_adversarial_events_are_the_adversarial_frames(
    deployed, stacks, recordings, tmp_path, name
):
    found, binned, said, labels = written(deployed, stacks, recordings, tmp_path, name)
    np.testing.assert_array_equal(binned, found)
    assert (found != stacks).any()
    program = read_bundle(deployed[1]).program
    np.testing.assert_array_equal(run_twin(program, binned).predictions, said)
    assert (said != labels).any()


@pytest.mark.lava
def test_lava_sees_in_the_files_what_the_attack_saw(deployed, stacks, recordings, tmp_path):
    _, binned, said, _ = written(deployed, stacks, recordings, tmp_path, "counts200")
    bundle = read_bundle(deployed[1])
    ours, theirs = run_twin(bundle.program, binned), run_on_lava(bundle, binned, timeout=300.0)
    np.testing.assert_array_equal(theirs.predictions, said)
    np.testing.assert_array_equal(theirs.logits, ours.logits)
