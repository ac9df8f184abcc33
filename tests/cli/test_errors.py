"""Every refusal: exit 2 (1 where a check failed), one line on stderr, nothing half-written."""

import re
import shutil

import pytest

SIMULATE = "simulate {f}/{net} --input {f}/{input} --out out.npz"
AUDIT = "audit --float {f}/digits.safetensors --hardware {f}/digits-bundle --data npz:{f}/tiny.npz"


def simulate(net, given="images.npz", options=""):
    return SIMULATE.replace("{net}", net).replace("{input}", given) + " " + options


REFUSED = {
    # damaged and absent files
    "no network": (simulate("absent.net"), "a .net file, a .nir file or a bundle at .*absent.net"),
    "no input": (simulate("bundle", "absent.npz"), "an npz file .*absent.npz, got no file"),
    "no nir": ("deploy {f}/absent.nir --out out", "an HDF5 file at .*absent.nir, got no file"),
    "no checkpoint": ("export {f}/absent --out out.nir", "best.safetensors or .*no such path"),
    "no bundle": ("verify {f}/absent", "expected a bundle at .*absent, got no readable SHA256SUMS"),
    "no bundle for parity": ("parity {f}", "expected a bundle at .*, got no readable SHA256SUMS"),
    "no audit": ("report {f}/absent.json --out out.html", "a JSON file at .*absent.json"),
    "no data": ("train --preset digits-vanilla --data npz:{f}/absent.npz --out out", "absent.npz"),
    "cut net": (
        simulate("cut.net", "bundle/golden.npz"),
        "expected an HDF5 file at .*cut.net, got not HDF5, or cut",
    ),
    "cut nir": ("deploy {f}/cut.nir --out out", "expected an HDF5 file at .*cut.nir, got not HDF5"),
    "cut nir, float": (simulate("cut.nir", options="--backend float"), "HDF5 file at .*cut.nir"),
    "cut npz": (simulate("bundle", "cut.npz"), "expected an npz file of plain arrays at .*cut.npz"),
    "cut checkpoint": ("export {f}/cut.safetensors --out out.nir", "safetensors file at .*cut.saf"),
    "cut audit": ("report {f}/broken.json --out out.html", "JSON file at .*broken.json"),
    "cut data": ("train --preset digits-vanilla --data npz:{f}/cut.npz --out out", "cut.npz"),
    "net as nir": ("deploy {f}/bundle/model.net --out out", "expected .*model.net.* 'node'"),
    "npz as net": ("verify {f}/images.npz", "expected a bundle at .*images.npz"),
    # files that say something else
    "NaN in nir": ("deploy {f}/nan.nir --out out", "finite numbers in .*conv1/weight, got NaN"),
    "NaN in nir, float": (simulate("nan.nir", options="--backend float"), "finite numbers in"),
    "NaN in checkpoint": ("export {f}/nan.safetensors --out out.nir", "finite numbers in tensor"),
    "NaN in input": (simulate("bundle/model.net", "nan.npz"), "expected finite numbers in x of"),
    "unknown node": ("deploy {f}/unknown.nir --out out", "'fire3'.*Delay"),
    "no metadata": (
        "deploy {f}/bare.nir --out out",
        "no dt, steps, encoding, readout, reset; give --dt --steps --encoding --readout --reset",
    ),
    "no metadata, float": (simulate("bare.nir", options="--backend float"), "got no dt, steps, en"),
    "some metadata": (
        "deploy {f}/bare.nir --out out --dt 1 --steps 4 --reset zero",
        "got no encoding, readout; give --encoding --readout",
    ),
    "another encoding": (
        "deploy {f}/bare.nir --out out --dt 1 --steps 4 --reset zero --encoding poisson "
        "--readout membrane",
        "got .*'poisson'",
    ),
    "other JSON": ("report {f}/wrong.json --out out.html", "expected"),
    # shapes and emptiness
    "turned images": (simulate("bundle", "turned.npz"), r"\(2, 6, 5\), got \(2, 5, 6\)"),
    "turned images, float": (
        simulate("model.nir", "turned.npz", "--backend float"),
        r"expected a train \[T N 2 6 5\].*got \[1, 4, 2, 5, 6\]",
    ),
    "frames": (simulate("bundle", "frames.npz"), "expected images for this network, got frames"),
    "no images": (simulate("bundle", "empty.npz"), r"expected images uint8 .*got uint8 \[0, 6, 5"),
    "no arrays": (simulate("bundle", "nothing.npz"), "expected images or frames .*, got nothing"),
    "no arrays, net": (simulate("bundle/model.net", "nothing.npz"), "expected x or input_bias"),
    "images for a net": (simulate("bundle/model.net"), "expected x or input_bias .*, got images"),
    "parity input": ("parity {f}/bundle --input {f}/turned.npz", "images of shape"),
    "empty data": ("train --preset digits-vanilla --data npz:{f}/none.npz --out out", "expected"),
    "empty calibration": ("deploy {f}/digits.nir --out out --calibrate npz:{f}/none.npz", "expec"),
    "calibration of another size": (
        "deploy {f}/digits.nir --out out --calibrate npz:{f}/large.npz",
        r"calibration images of shape \(1, 8, 8\), got",
    ),
    "audit data of another size": (
        AUDIT.replace("tiny", "large"),
        r"expected images of shape \(1, 8, 8\), got images of shape \(1, 10, 10\) in large",
    ),
    "another bundle": (
        AUDIT.replace("digits-bundle", "bundle"),
        r"expected .* to be made from this checkpoint, got steps 6 where the checkpoint has 4",
    ),
    # backends
    "float on net": (
        simulate("bundle/model.net", options="--backend float"),
        "expected backend twin, lava for a .net, got 'float'",
    ),
    "lava on nir": (
        simulate("model.nir", options="--backend lava"),
        "expected backend twin, float for a .nir, got 'lava'",
    ),
    "unknown backend": (
        simulate("bundle", options="--backend loihi"),
        "expected backend twin, lava, float for a bundle, got 'loihi'",
    ),
    # outputs
    "output below a file": (
        "simulate {f}/bundle --input {f}/images.npz --out {f}/file/out.npz",
        "expected a writable output .*file/out.npz, ",
    ),
    "bundle below a file": (
        "deploy {f}/model.nir --out {f}/file/out",
        "expected a writable output",
    ),
    "export below a file": (
        "export {f}/digits.safetensors --out {f}/file/out.nir --samples 1",
        "expected a writable output",
    ),
    "training below a file": (
        "train --preset digits-vanilla --data digits --limit 20 --out {f}/file/out",
        "expected a writable output",
    ),
    "bundle onto a file": ("deploy {f}/model.nir --out {f}/file", "a folder name, got the file"),
    "bundle onto other files": ("deploy {f}/model.nir --out {f}", "expected a new or empty folder"),
    "output is a folder": (
        "simulate {f}/bundle --input {f}/images.npz --out {f}/folder.npz",
        "expected a file name, got the folder",
    ),
    # options
    "radius above 1": (AUDIT + " --epsilon 1.5", r"expected epsilon in 0..1, got 1.5"),
    "radius below 0": (AUDIT + " --epsilon -0.1", r"expected epsilon in 0..1, got -0.1"),
    "radius below a level": (AUDIT + " --epsilon 0.001", r"at least 1/255 = 0.0039 .* got 0.001"),
    "radius of the search": (
        "deploy {f}/digits.nir --out out --calibrate digits --epsilon 2",
        r"expected epsilon in \(0, 1\]",
    ),
    "other norm": (AUDIT + " --norm l3", "expected a norm among linf, l2, l1, l0, got 'l3'"),
    "norm alone": (AUDIT + " --norm l2", "expected --epsilon with --norm l2, got none"),
    "other suite": (AUDIT + " --suite best", "expected a suite .*, got 'best'"),
    "other engine": (AUDIT + " --engine mpi", "expected an engine among local, ray, got 'mpi'"),
    "shards": (AUDIT + " --shards 13", "expected at most 12 shards, one a sample, got 13"),
    "shard": (AUDIT + " --shards 2 --shard 2", r"expected a shard in 0\.\.1, got 2"),
    "source of nowhere": (
        AUDIT + " --source {f}/digits.safetensors",
        "expected config.json of its training beside .*digits.safetensors, got none",
    ),
    "other format": (
        "report {f}/absent.json --out out.pdf --format pdf",
        "expected a format among html, markdown, csv, got 'pdf'",
    ),
    "too many samples": (AUDIT + " --samples 13", "at most 12 samples of tiny, got 13"),
    "no samples": (AUDIT + " --samples 0", "expected samples of 1 or more, got 0"),
    "audit that is no JSON": (
        AUDIT + " --out out.txt",
        "an output that ends in .json, got out.txt",
    ),
    "audit over another": (
        AUDIT + " --out {f}/broken.json",
        "expected no audit at .*broken.json, got one; name another output",
    ),
    "audit below a file": (
        AUDIT + " --out {f}/file/a.json",
        "a writable output .*file/a.json, got",
    ),
    "export that is no NIR": (
        "export {f}/digits.safetensors --out x.txt",
        "an output that ends in .nir, got x.txt; name it x.nir",
    ),
    "simulation that is no npz": (
        simulate("bundle").replace("out.npz", "out.txt"),
        "an output that ends in .npz, got out.txt; name it out.npz",
    ),
    "images and frames": (simulate("bundle", "both.npz"), "images or frames in .*, got both"),
    "text as npz": (simulate("bundle", "broken.toml"), "got another format, or a file that is cut"),
    "text as data": (
        "train --preset digits-vanilla --data npz:{f}/broken.toml --out out",
        "expected .*broken.toml, got",
    ),
    "other bits": ("deploy {f}/model.nir --out out --bits 9", "2 to 8 bits a weight, got 9"),
    "other chip": (
        "deploy {f}/model.nir --out out --chip x",
        "a chip among loihi1, loihi2, got 'x'",
    ),
    "fine-tuning": ("deploy {f}/model.nir --out out --finetune 2", "--data with --finetune, got"),
    "data alone": ("deploy {f}/model.nir --out out --data digits", "--finetune with --data, got"),
    "tuning option": ("deploy {f}/model.nir --out out --limit 9", "--finetune with --limit, got"),
    "two sources": (
        "deploy {f}/digits.nir --out out --finetune 1 --data digits --calibrate digits",
        "expected no --calibrate with --finetune, got both",
    ),
    "network option": (
        "deploy {f}/digits.nir --out out --finetune 1 --data digits --set steps=3",
        "expected options of training, got 'steps'",
    ),
    "bits in words": ("deploy {f}/model.nir --out out --bits first=", "expected bits as a number"),
    "bits twice": ("deploy {f}/model.nir --out out --bits 4,8", "or once a layer as in first=8"),
    "radius of no attack": (
        "deploy {f}/model.nir --out out --epsilon 0.1",
        "expected --calibrate or --data with --epsilon 0.1, got neither",
    ),
    "sums of no onnx": (
        "deploy {f}/model.nir --out out --onnx-sums float32",
        "expected --onnx with --onnx-sums float32, got none",
    ),
    "onnx of an export to nowhere": (
        "export {f}/digits.safetensors --out out.nir --onnx {f}/file/out.onnx",
        "file",
    ),
    "onnx export": (
        "export {f}/digits.safetensors --out out.nir --onnx o",
        "an output that ends in .onnx, got o; name it o.onnx",
    ),
    "unknown preset": ("train --preset digits --data digits --out out", "preset among .*'digits'"),
    "unknown method": (
        "train --preset digits-free --data digits --out out",
        "expected a preset among digits-vanilla, .* got 'digits-free'",
    ),
    "no preset": ("train --data digits --out out", "--preset or --config, got neither"),
    "preset and config": (
        "train --preset digits-at --config {f}/broken.toml --data digits --out out",
        "--preset or --config, got both",
    ),
    "no config": (
        "train --config {f}/absent.toml --data digits --out out",
        "TOML file at .*absent",
    ),
    "broken config": ("train --config {f}/broken.toml --data digits --out out", "a TOML file at"),
    "unknown key": (
        "train --preset digits-at --set epoch=3 --data digits --out out",
        "expected .*, got .*epoch",
    ),
    "no value": ("train --preset digits-at --set epochs --data digits --out out", "key=value, got"),
    "wrong value": ("train --preset digits-at --set epochs=x --data digits --out out", "epochs"),
    "value out of range": (
        "train --preset digits-at --set momentum=2 --data digits --out out",
        "expected momentum >= 0 and < 1, got 2",
    ),
    "negative weight": (
        "train --preset digits-srstar --set penalty_weight=-0.1 --data digits --out out",
        "expected penalty_weight >= 0, got -0.1; correct it",
    ),
    "no step of the difference": (
        "train --preset digits-srstar --set penalty_step=0 --data digits --out out",
        "expected penalty_step > 0, got 0.0; correct it",
    ),
    "training radius above 1": (
        "train --preset digits-at --set epsilon=1.5 --data digits --out out",
        "expected epsilon > 0 and < 1, got 1.5; correct it",
    ),
    "no time step": (
        "train --preset digits-at --set steps=0 --data digits --out out",
        "expected steps >= 1, got 0; correct it",
    ),
    "NaN as a weight": (
        "train --preset digits-sr --set penalty_weight=nan --data digits --out out",
        "expected penalty_weight >= 0, got nan; correct it",
    ),
    "no data named": ("train --preset digits-at --out out", "Missing option '--data'"),
    "images for event frames": (
        "train --preset dvs-at --data digits --out out",
        "expected encoding 'direct' for the images of digits, got 'frames'; choose a preset for",
    ),
    "events": (
        "train --preset dvs-at --data cifar10-dvs:x --out out",
        "expected recordings of cifar10-dvs for training and testing in x, got none for train and",
    ),
    "no device": (
        "train --preset digits-at --data digits --out out --device cpu --devices 0",
        "expected at least one device and one node, got 0",
    ),
    "key of another method": (
        "train --preset digits-vanilla --set epsilon=0.1 --data digits --out out",
        "expected no epsilon with method 'vanilla', got 0.1",
    ),
    "unknown data": ("train --preset digits-at --data digit --out out", "expected .*'?digit'?"),
    "no limit": ("train --preset digits-at --data digits --limit 0 --out out", "limit of at least"),
    "no training to resume": (
        "train --preset digits-at --data digits --out out --resume",
        "expected a training to resume in out, got none",
    ),
    "unknown device": (simulate("bundle", options="--device tpu9"), "a device .*, got 'tpu9'"),
    # usage
    "unknown command": ("robustify", "No such command 'robustify'"),
    "unknown option": ("verify {f}/bundle --fast", "No such option: --fast"),
    "no argument": ("verify", "Missing argument"),
    "no output": ("deploy {f}/model.nir", "Missing option '--out'"),
    "no number": (
        "deploy {f}/model.nir --out out --bits many",
        "expected bits as a number, or .*, got .many.",
    ),
    "negative seed": ("verify {f}/bundle --seed -1", "Invalid value for '--seed'"),
    "no fraction": (AUDIT + " --epsilon 8/0", "Invalid value for '--epsilon'"),
    "a fraction out of range": (AUDIT + " --epsilon 510/255", "expected epsilon in 0..1, got 2.0"),
    "no sample": ("parity {f}/bundle --samples 0", "Invalid value for '--samples'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusal_is_one_line_and_exit_2(spikeproof, files, tmp_path, monkeypatch, name):
    command, message = REFUSED[name]
    monkeypatch.chdir(tmp_path)
    before = sorted(files.rglob("*"))
    done = spikeproof(*command.replace("{f}", str(files)).split())
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert done.err.startswith("spikeproof: ")
    assert re.search(message, done.err), done.err
    assert list(tmp_path.iterdir()) == []
    assert sorted(files.rglob("*")) == before


LAVA_COMMANDS = {
    "net": simulate("bundle/model.net", "bundle/golden.npz", "--backend lava"),
    "bundle": simulate("bundle", options="--backend lava"),
    "parity": "parity {f}/bundle --samples 1",
}


@pytest.mark.usefixtures("no_lava")
@pytest.mark.parametrize("name", LAVA_COMMANDS)
def test_without_lava_its_commands_exit_2(spikeproof, files, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    done = spikeproof(*LAVA_COMMANDS[name].replace("{f}", str(files)).split())
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "expected Lava to be installed, got: lava-nc and lava-dl not installed" in done.err
    assert "pip install --ignore-requires-python --no-deps lava-nc==0.10.0" in done.err
    assert list(tmp_path.iterdir()) == []


FAILED_CHECKS = ("verify {b}", "parity {b}", simulate("bundle").replace("{f}/bundle", "{b}"))


@pytest.mark.parametrize("command", FAILED_CHECKS)
def test_changed_bundle_is_a_failed_check(spikeproof, files, tmp_path, command):
    bundle = shutil.copytree(files / "bundle", tmp_path / "bundle")
    (bundle / "chip.json").write_text("{}")
    done = spikeproof(*command.replace("{b}", str(bundle)).replace("{f}", str(files)).split())
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert "expected chip.json in" in done.err


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes")]
)
def test_too_little_memory_is_one_line_and_exit_2(spikeproof, monkeypatch, error):
    def fails(**options):
        raise error

    monkeypatch.setattr("spikeproof.cli.main.app", fails)
    done = spikeproof("doctor")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "take fewer samples or steps" in done.err
