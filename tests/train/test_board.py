import struct
import sys

import pytest

from spikeproof.core.errors import MissingAbilityError
from spikeproof.train.board import TensorBoard
from spikeproof.train.loop import run


def scalars(folder):
    """Name, epoch and value of everything in a folder's event files, without TensorBoard."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    found = []
    for file in sorted(folder.glob("events.*")):
        data = file.read_bytes()
        while data:
            size = struct.unpack("<Q", data[:8])[0]
            event = event_pb2.Event.FromString(data[12 : 12 + size])
            found += [(v.tag, event.step, v.simple_value) for v in event.summary.value]
            data = data[16 + size :]
    return found


def test_training_writes_its_metrics_as_events(quick, tiny_config, digits, tmp_path):
    pytest.importorskip("tensorboardX")
    result = run(quick, tiny_config, digits, tmp_path / "run", tensorboard=True)
    found = scalars(result.folder / "tensorboard")
    losses = [(epoch, value) for name, epoch, value in found if name == "loss"]
    assert losses == [(m["epoch"], pytest.approx(m["loss"])) for m in result.metrics]
    assert {name for name, _, _ in found} == set(result.metrics[0]) - {"epoch"}


def test_numbers_that_are_not_there_are_left_out(tmp_path):
    pytest.importorskip("tensorboardX")
    board = TensorBoard(tmp_path)
    board.add({"epoch": 2, "loss": 0.5, "validation_accuracy": None})
    board.close()
    assert scalars(tmp_path) == [("loss", 2, 0.5)]


def test_without_tensorboardx_nothing_is_started(quick, tiny_config, digits, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(MissingAbilityError, match=r"pip install 'spikeproof\[tensorboard\]'"):
        run(quick, tiny_config, digits, tmp_path / "run", tensorboard=True)
    assert not (tmp_path / "run").exists()


def test_resumed_training_shows_every_epoch_once(
    quick, tiny_config, digits, tmp_path, interrupt_after
):
    pytest.importorskip("tensorboardX")
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(quick, tiny_config, digits, out, tensorboard=True, tracker=interrupt_after(7))
    run(quick, tiny_config, digits, out, tensorboard=True, resume=True)
    found = scalars(out / "tensorboard")
    assert [epoch for name, epoch, _ in found if name == "loss"] == [1, 2, 3]
