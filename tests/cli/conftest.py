"""The command line run in this process, and files that it takes or has to refuse."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from spikeproof.cli.main import main
from spikeproof.deploy.deployment import DeployConfig, run
from spikeproof.export.to_nir import to_nir
from spikeproof.sim.graph.file import write_nir
from spikeproof.sim.oracle import run as lava
from spikeproof.tests.deploy.networks import (
    deploy_lattice,
    lattice_graph,
    lattice_images,
    linear,
    random_network,
)
from spikeproof.train.checkpoint import save


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What `--json` printed."""
        return json.loads(self.out)


Command = Callable[..., Done]


@pytest.fixture
def spikeproof(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process."""

    def call(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["spikeproof", *(str(word) for word in words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, out, err)

    return call


@pytest.fixture
def no_lava(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Lava."""
    monkeypatch.setattr(lava, "_installed", lambda name: "")


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of inputs, lawful and not. Not to be changed."""
    folder = tmp_path_factory.mktemp("files")
    deploy_lattice(folder)
    _networks(folder)
    _arrays(folder)
    _digits(folder)
    for source in ("bundle/model.net", "model.nir", "images.npz", "digits.safetensors"):
        content = (folder / source).read_bytes()
        (folder / f"cut{Path(source).suffix}").write_bytes(content[: len(content) // 2])
    (folder / "wrong.json").write_text('{"format": "something else"}')
    (folder / "broken.json").write_text('{"format": ')
    (folder / "broken.toml").write_text("epochs = = 3")
    (folder / "file").touch()
    (folder / "folder.npz").mkdir()
    return folder


def _networks(folder: Path) -> None:
    graph = lattice_graph()
    graph.metadata = {}
    write_nir(folder / "bare.nir", graph)
    graph = lattice_graph()
    linear(graph, "conv1").weight[0, 0, 0, 0] = np.nan
    write_nir(folder / "nan.nir", graph)
    graph = lattice_graph()
    graph.nodes["fire3"] = nir.Delay(np.ones(11))
    nir.write(folder / "unknown.nir", graph)


def _arrays(folder: Path) -> None:
    images = lattice_images(4).transpose(0, 2, 3, 1)
    np.savez(folder / "images.npz", images=images)
    np.savez(folder / "turned.npz", images=images.transpose(0, 2, 1, 3))
    np.savez(folder / "empty.npz", images=images[:0])
    np.savez(folder / "both.npz", images=images, frames=np.zeros((6, 1, 2, 6, 5), np.float32))
    np.savez(folder / "frames.npz", frames=np.zeros((6, 1, 2, 6, 5), np.float32))
    np.savez(folder / "nan.npz", x=np.full((2, 3), np.nan), steps=3)
    np.savez(folder / "nothing.npz")


def _digits(folder: Path) -> None:
    """A checkpoint for the digits, its bundle, and data sets of the same and of another size."""
    network = random_network()
    save(folder / "digits.safetensors", network)
    write_nir(folder / "digits.nir", to_nir(network))
    run(DeployConfig(golden=2), folder / "digits.nir", folder / "digits-bundle")
    other = random_network(seed=1)
    other.layers.readout.weight.data[0, 0] = float("nan")  # type: ignore[union-attr]
    save(folder / "nan.safetensors", other)
    for name, size, count in (("tiny", 8, 12), ("large", 10, 12), ("none", 8, 0)):
        draw = np.random.default_rng(0)
        images = draw.integers(0, 255, (count, size, size, 1), dtype=np.uint8, endpoint=True)
        labels = np.arange(count) % 10
        np.savez(
            folder / f"{name}.npz",
            train_images=images,
            train_labels=labels,
            test_images=images,
            test_labels=labels,
        )
