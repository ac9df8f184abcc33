"""Every target at the scale `smoke`, as a user runs them: one folder, one command each."""

import json

import pytest

from spikeproof.reproduce.targets import TARGETS

MINUTES = 25


@pytest.mark.slow
@pytest.mark.timeout(60 * MINUTES)
def test_every_target_runs_and_shares_what_is_trained(spikeproof, shared, tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKEPROOF_CACHE", str(tmp_path / "cache"))
    events, out = f"nmnist:{shared / 'data' / 'NMNIST'}", tmp_path / "out"
    for name, target in TARGETS.items():
        data = events if target.takes_events else "digits"
        words = ("--scale", "smoke", "--data", data, "--out", out, "--resume", "--device", "cpu")
        done = spikeproof("reproduce", name, *words, "--json")
        assert (done.code, done.err) == (0, "")
        written = json.loads((out / f"{name}.json").read_text())
        assert {cell["column"] for cell in done.json["cells"]} == set(target.labels)
        assert written["cells"] == done.json["cells"]
        assert all(
            cell["on_chip"] or cell["row"] == "RAT" or not cell["unit"] for cell in written["cells"]
        )
        assert (out / f"{name}.md").read_text().startswith(f"# {target.title}")
        assert "<svg" in (out / f"{name}.svg").read_text()
    assert len(list((out / "networks").iterdir())) == NETWORKS


NETWORKS = 6 + 1 + 2 + 5
"""Digits: five methods and a source, λ = 0, two trainings in ℓ2; N-MNIST: four and a source."""
