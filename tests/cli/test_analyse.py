"""`spikeproof analyse`: every sub-command leaves numbers and a figure, or one line."""

import json
import re

import pytest

from spikeproof.cli.analyse import analyse

NETWORKS = ("norms", "vulnerability", "histogram", "heatmap")
SMALL = ("--set", "epochs=1", "--set", "widths=4,6", "--set", "validation_steps=1")
WORDS = {
    **{
        name: (name, "{f}/digits.safetensors", "--data", "npz:{f}/tiny.npz", "--samples", 5)
        for name in NETWORKS
    },
    "sweep": (
        *("sweep", "digits-sr", "--data", "digits", "--limit", 60, "--weights", "0,1/100"),
        *("--samples", 20, *SMALL),
    ),
    "cost": (*("cost", "digits-vanilla", "digits-sr", "--data", "digits", "--limit", 60, *SMALL),),
    "methods": (
        *("methods", "digits-vanilla", "digits-sr", "--data", "digits", "--limit", 60),
        *("--seeds", "3", "--samples", 20, *SMALL),
    ),
}
TRAINED = ("sweep", "cost", "methods")
NORM_TRANSFER = "norm-transfer --data npz:{f}/tiny.npz --out out --network a={f}/digits.safetensors"


def called(files, words):
    return [str(word).replace("{f}", str(files)) for word in words]


def test_the_sub_commands_are_these():
    names = [getattr(command.callback, "__name__", None) for command in analyse.registered_commands]
    assert names == [*NETWORKS, *TRAINED, "pairs", "norm_transfer"]


def test_pairs_are_compared_on_real_scenes(spikeproof, shared, tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKEPROOF_CACHE", str(tmp_path / "cache"))
    words = ("--data", shared / "data", "--out", tmp_path / "out", "--limit", 20, "--samples", 4)
    small = (*SMALL, "--set", "steps=2", "--epsilons", "1/255", "--device", "cpu", "--json")
    done = spikeproof("analyse", "pairs", "pairs-vanilla", *words, *small)
    assert (done.code, done.err) == (0, "")
    assert len(done.json["rows"]) == 6
    written = json.loads((tmp_path / "out" / "pairs.json").read_text())
    assert [row["samples"] for row in written["rows"]] == [4] * 6
    assert {"trained on", "shown", "clean", "pgd10 ±1"} <= set(written["rows"][0])
    assert "| trained on | shown | clean | pgd10 ±1 |" in (tmp_path / "out/pairs.md").read_text()


@pytest.mark.parametrize("name", WORDS)
def test_sub_command_writes_numbers_and_a_figure(spikeproof, files, tmp_path, name):
    words = called(files, WORDS[name])
    done = spikeproof("analyse", *words, "--out", tmp_path / "out", "--json", "--device", "cpu")
    assert (done.code, done.err) == (0, "")
    written = json.loads((tmp_path / "out" / f"{name}.json").read_text())
    assert {"versions", "seed"} <= set(written)
    assert "<svg" in (tmp_path / "out" / f"{name}.svg").read_text()
    assert done.json["json"] == str(tmp_path / "out" / f"{name}.json")
    assert len(done.json["rows"]) == (2 if name in TRAINED else 1)


def test_norm_transfer_compares_networks_and_chips(spikeproof, files, tmp_path):
    words = called(files, NORM_TRANSFER.split())
    words[words.index("out")] = str(tmp_path)
    more = (
        "--chip",
        f"c={files}/digits-bundle",
        "--compare",
        "c,a",
        "--samples",
        5,
        "--norms",
        "linf,l2",
    )
    sizes = ("--epsilon", "linf=8/255", "--epsilon", "l2=0.5", "--estimators", "triangle")
    done = spikeproof("analyse", *words, *more, *sizes, "--device", "cpu")
    assert (done.code, done.err) == (0, "")
    assert "c against a: " in done.out
    written = json.loads((tmp_path / "norm-transfer.json").read_text())
    assert written["epsilons"] == {"linf": 8 / 255, "l2": 0.5}
    assert list(written["right"]) == ["a", "c"]
    assert "| a | " in (tmp_path / "norm-transfer.md").read_text()


@pytest.mark.parametrize("name", [*WORDS, "norm-transfer", "pairs"])
def test_help_of_a_sub_command_shows_an_example(spikeproof, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "200")
    done = spikeproof("analyse", name, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"Example: spikeproof analyse {name}" in done.out
    assert all(option in done.out for option in ("--out", "--format", "--seed", "--json"))


def test_networks_of_one_name_are_told_apart_by_their_paths(spikeproof, files, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net").write_bytes((files / "digits.safetensors").read_bytes())
    paths = [str(tmp_path / folder / "net") for folder in ("a", "b")]
    words = ("--data", f"npz:{files}/tiny.npz", "--samples", 3, "--out", tmp_path / "out")
    done = spikeproof("analyse", "norms", *paths, *words, "--json")
    assert done.code == 0
    assert sorted(done.json["rows"]) == paths


REFUSED = {
    "no network": (
        "norms {f}/absent --data digits --out out",
        "best.safetensors or .*no such path",
    ),
    "other format": (
        "heatmap {f}/digits.safetensors --data digits --out out --format pdf",
        "expected a figure as svg or png, got 'pdf'",
    ),
    "other estimator": (
        "norms {f}/digits.safetensors --data digits --out out --estimator x",
        "expected a gradient estimator among",
    ),
    "other size": (
        "norms {f}/digits.safetensors --data npz:{f}/large.npz --out out",
        r"expected images \[N, 1, 8, 8\]",
    ),
    "no number": (
        "sweep digits-sr --data digits --out out --weights a,b",
        "expected weights as 0,0.002,0.008, got 'a,b'",
    ),
    "no seed": (
        "methods digits-sr --data digits --out out --seeds 0,x",
        "expected seeds as 0,1, got '0,x'",
    ),
    "one seed twice": (
        "methods digits-sr --data digits --out out --seeds 0,0",
        "expected different seeds of 0 or more",
    ),
    "two seeds": (
        "cost digits-sr --data digits --out out --set seed=3",
        "expected no seed in --set, got 3",
    ),
    "two inputs": (
        "cost digits-sr nmnist-sr --data digits --out out",
        "expected presets that take the same input, got digits-sr, nmnist-sr",
    ),
    "no weight": (
        "sweep digits-at --data digits --limit 20 --out out --weights 0.1",
        "expected a method with a weight λ, got 'at'",
    ),
    "no radii": (
        "pairs pairs-at --data {f} --out out --epsilons 1,x",
        "expected radii as 1/255,8/255, got '1,x'",
    ),
    "no pairs": (
        "pairs pairs-at --data {f} --out out",
        "expected recordings of nmnist for training and testing in",
    ),
    "no such norm": (f"{NORM_TRANSFER} --norms l3", "expected a norm among linf, l2, l1, l0"),
    "no radius of a norm": (f"{NORM_TRANSFER} --epsilon l2", "expected --epsilon NORM=RADIUS, got"),
    "no such network": (f"{NORM_TRANSFER} --compare a,b", "expected --compare with two of a, got"),
    "no named network": (
        "norm-transfer --network {f}/digits.safetensors --data digits --out out",
        "expected --network NAME=CHECKPOINT, got",
    ),
    "no preset": ("cost none --data digits --out out", "expected a preset among"),
    "no radius": (
        "vulnerability {f}/digits.safetensors --data digits --out out --epsilon 0",
        "expected epsilon > 0",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusal_is_one_line(spikeproof, files, tmp_path, monkeypatch, name):
    command, message = REFUSED[name]
    monkeypatch.chdir(tmp_path)
    done = spikeproof("analyse", *command.replace("{f}", str(files)).split())
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert re.search(message, done.err)
    assert list(tmp_path.iterdir()) == []
