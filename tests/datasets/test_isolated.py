import pytest

from spikeproof.core.errors import FormatError
from spikeproof.datasets import isolated


@pytest.fixture
def decoder():
    found = isolated.Decoder()
    yield found
    found.stop()


def test_a_decoder_that_finds_no_end_is_stopped(decoder, tmp_path, monkeypatch):
    worker, file = tmp_path / "worker.py", tmp_path / "a.raw"
    worker.write_text("import time\ntime.sleep(600)\n")
    file.write_bytes(b"1")
    monkeypatch.setattr(isolated, "WORKER", worker)
    monkeypatch.setattr(isolated, "PATIENCE", 0.5)
    with pytest.raises(FormatError, match="undamaged evt file at .*a.raw, got .* no end in"):
        decoder.decode("evt", file)


def test_a_decoder_that_dies_is_told_from_a_slow_one(decoder, tmp_path, monkeypatch):
    worker = tmp_path / "worker.py"
    worker.write_text("input()\n")
    monkeypatch.setattr(isolated, "WORKER", worker)
    with pytest.raises(FormatError, match="got a decoder that died of it"):
        decoder.decode("evt", tmp_path / "a.raw")
