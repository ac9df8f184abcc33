import json

import pytest

from spikeproof.deploy.chip_file import known_chips
from spikeproof.tests.sim.netx_files import layers, write


@pytest.fixture
def net(tmp_path):
    return write(tmp_path / "network.net", layers())


def test_fit_tells_cores_and_chips(net, spikeproof):
    done = spikeproof("fit", str(net), "--json")
    report = json.loads(done.out)
    assert (done.code, report["fits"], report["chips"], report["cores"]) == (0, True, 1, 1)
    assert [row["name"] for row in report["populations"]] == ["layer1", "layer3", "layer4"]


def test_a_misfit_ends_with_1_where_a_fit_is_required(net, spikeproof, tmp_path):
    stated = known_chips()["loihi2"].read_text().replace("value = 17", "value = 4")
    chip = tmp_path / "mine.toml"
    chip.write_text(stated)
    assert spikeproof("fit", str(net), "--chip", str(chip)).code == 0
    done = spikeproof("fit", str(net), "--chip", str(chip), "--require-fit")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "got layer1: thresholds 0..50 of 0..15 (4 bits) (and 2 more)" in done.err


def test_fit_refuses_what_is_no_network(spikeproof, tmp_path):
    done = spikeproof("fit", str(tmp_path / "nothing"))
    assert (done.code, done.err.count("\n")) == (2, 1)
