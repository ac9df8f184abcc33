"""What spikeproof can do here, and for what it cannot, what to install."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

CXX = ("c++", "g++", "clang++")
"""What torch.compile looks for where `$CXX` names none."""


@dataclass(frozen=True, kw_only=True)
class Ability:
    """Something optional.

    Args:
        name: What it is.
        serves: What does not work without it.
        reason: Why it is not there; empty where it is.
        install: What brings it.
    """

    name: str
    serves: str
    reason: str
    install: str

    @property
    def line(self) -> str:
        """For people."""
        if not self.reason:
            return "usable"
        return f"not usable: {self.reason}; {self.install} (for {self.serves})"


PACKAGES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("AEDAT 4", ".aedat4 files", {"aedat": "aedat"}),
    (
        "AEDAT 4 out",
        "record --format aedat4, and audit --recordings of .aedat4",
        {"dv_processing": "dv-processing"},
    ),
    ("Prophesee", ".dat and .raw files", {"expelliarmus": "expelliarmus"}),
    (
        "ONNX",
        "export --onnx, deploy --onnx, and verify of such bundles",
        {"onnx": "onnx", "onnxruntime": "onnxruntime"},
    ),
    ("TensorBoard", "train --tensorboard", {"tensorboardX": "tensorboardX"}),
    ("Ray", "audit --engine ray", {"ray": "ray"}),
)
"""Name, what it serves, and the modules it needs with the packages they come in."""


def abilities() -> tuple[Ability, ...]:
    """Everything optional, whether it is there or not."""
    return (*_packages(), _lava(), _compiler(), _compiled(), _gpu(), _triton())


def _packages() -> Iterator[Ability]:
    for name, serves, modules in PACKAGES:
        missing = [package for module, package in modules.items() if find_spec(module) is None]
        yield Ability(
            name=name,
            serves=serves,
            reason=f"{' and '.join(missing)} not installed" if missing else "",
            install=f"run pip install {' '.join(missing or modules.values())}",
        )


def _lava() -> Ability:
    from ..sim.oracle.run import INSTALL, lava_status

    return Ability(
        name="Lava",
        serves="parity, simulate --backend lava, and its part of verify and demo",
        reason=lava_status().reason,
        install=INSTALL,
    )


def _compiler() -> Ability:
    from ..export.c99.build import COMPILERS, compiler

    return Ability(
        name="C compiler",
        serves="verify of bundles with C99",
        reason="" if compiler() else f"none of $CC, {', '.join(COMPILERS)} found",
        install="install one, on Debian with apt-get install gcc, or name it in CC",
    )


def _compiled() -> Ability:
    named = os.environ.get("CXX")
    found = any(shutil.which(name) for name in ([named] if named else CXX))
    return Ability(
        name="C++ compiler",
        serves='neuron_kernel = "compiled"',
        reason="" if found else f"none of $CXX, {', '.join(CXX)} found",
        install="install one, on Debian with apt-get install g++, or name it in CXX",
    )


def _gpu() -> Ability:
    import torch

    reason = ""
    if not torch.cuda.is_available():
        cuda = torch.version.cuda
        reason = f"torch {torch.__version__} finds no GPU" if cuda else "torch is a CPU build"
    return Ability(
        name="CUDA",
        serves="--device cuda",
        reason=reason,
        install="with an NVIDIA GPU and its driver, run pip install --force-reinstall torch, which "
        "brings CUDA on Linux",
    )


def _triton() -> Ability:
    missing = "triton not installed" if find_spec("triton") is None else ""
    return Ability(
        name="Triton",
        serves='neuron_kernel = "triton"',
        reason=missing or ("no CUDA device" if _gpu().reason else ""),
        install="install a CUDA build of torch, which brings the Triton that fits it",
    )
