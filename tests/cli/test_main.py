import os
import re
import subprocess
import sys

import pytest
import torch

from spikeproof.cli.main import INTERRUPTION, app, main
from spikeproof.cli.options import full_float_device

COMMANDS = (
    "doctor",
    "record",
    "train",
    "export",
    "deploy",
    "fit",
    "simulate",
    "parity",
    "audit",
    "certify",
    "report",
    "reproduce",
    "seal",
    "verify",
    "demo",
)
OPTIONS = {
    "record": ("--data", "--out", "--format", "--per-class", "--loops", "--refractory", "--noise"),
    "train": (
        *("--preset", "--config", "--data", "--out", "--set", "--limit", "--resume"),
        *("--devices", "--nodes", "--tensorboard", "--init"),
    ),
    "export": ("--out", "--onnx"),
    "deploy": (
        "--out",
        "--chip",
        "--bits",
        "--calibrate",
        "--finetune",
        "--data",
        "--preset",
        "--set",
        "--limit",
        "--resume",
        "--onnx",
        "--require-fit",
        "--search-samples",
        "--binning",
        "--cap",
    ),
    "fit": ("--chip", "--require-fit", "--cost"),
    "simulate": ("--input", "--out", "--backend", "--trace", "--strict"),
    "parity": ("--samples",),
    "certify": ("--data", "--epsilon", "--samples", "--out"),
    "audit": (
        *("--float", "--hardware", "--data", "--out", "--suite", "--samples", "--epsilon"),
        *("--norm", "--resume", "--shards", "--engine"),
    ),
    "report": ("--out",),
    "reproduce": ("--scale", "--data", "--out", "--resume", "--shards", "--engine"),
    "demo": ("--out",),
}


def python(*words, **options):
    command = [sys.executable, "-m", "spikeproof", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_the_commands_are_these():
    called = [command.callback for command in app.registered_commands]
    assert [getattr(command, "__name__", None) for command in called] == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_every_option(spikeproof, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "200")
    done = spikeproof(command, "--help")
    assert (done.code, done.err) == (0, "")
    for option in (*OPTIONS.get(command, ()), "--seed", "--device", "--json"):
        assert option in done.out
    assert f"Example: spikeproof {command}" in done.out


def test_help_lists_the_commands(spikeproof):
    done = spikeproof("--help")
    assert (done.code, done.err) == (0, "")
    assert all(re.search(rf"\b{command}\b", done.out) for command in COMMANDS)


def test_no_command_prints_the_help_and_exits_2(spikeproof):
    done = spikeproof()
    assert (done.code, done.err) == (2, "")
    assert "simulate" in done.out


def raising(error):
    def fail(folder, **options):
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, f"spikeproof: {INTERRUPTION}\n"),
        (
            PermissionError(13, "Permission denied", "/elsewhere/x"),
            2,
            "spikeproof: expected access to /elsewhere/x, got Permission denied; choose others\n",
        ),
    ],
    ids=["interrupt", "permission"],
)
def test_what_ends_a_command_is_one_line(spikeproof, monkeypatch, files, error, code, said):
    monkeypatch.setattr("spikeproof.deploy.verification.verify_bundle", raising(error))
    done = spikeproof("verify", files / "bundle")
    assert (done.code, done.err.lstrip("\n")) == (code, said)


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch, files):
    monkeypatch.setattr("spikeproof.deploy.verification.verify_bundle", raising(KeyError("x")))
    monkeypatch.setattr(sys, "argv", ["spikeproof", "verify", str(files / "bundle")])
    with pytest.raises(KeyError):
        main()


def test_module_runs_as_a_program(files, tmp_path):
    done = python("verify", str(files / "bundle"), "--device", "none", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        r"spikeproof: expected a device that torch can use, got 'none'.*\n", done.stderr
    )


def test_help_does_not_wait_for_torch():
    code = (
        "import sys; sys.argv = ['spikeproof', 'train', '--help']\n"
        "from spikeproof.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: print(sorted({'torch', 'norse', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_reader_that_goes_away_is_no_error(files):
    command = [sys.executable, "-m", "spikeproof", "verify", str(files / "absent"), "--help"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_choosing_a_device_switches_tf32_off():
    torch.backends.cudnn.allow_tf32 = True
    assert full_float_device("cpu") == "cpu"
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
