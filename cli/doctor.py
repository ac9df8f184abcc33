"""`spikeproof doctor`: what is installed, what is missing, and how to get it."""

from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version

from .options import Device, Json, Seed, full_float_device, show

OPTIONAL = ("aedat", "dv-processing", "expelliarmus", "onnx", "onnxruntime", "ray", "tensorboardX")
"""Libraries of the extras."""


def doctor(seed: Seed = 0, device: Device = "auto", json: Json = False) -> None:
    """Says what is installed, which device is used, and for what is missing what to install.

    Example: spikeproof doctor --json
    """
    import torch

    from ..core.record import versions
    from ..export.c99.build import compiler
    from ..export.onnx_scope import onnx_missing
    from ..sim.byte_conv import missing_reason
    from ..sim.exact_sums import self_test
    from ..sim.oracle.run import INSTALL, lava_status
    from .abilities import abilities

    del seed
    used = full_float_device(device)
    self_test(torch.device(used))
    lava, why_not = lava_status(), _no_bytes(used) or missing_reason()
    no_onnx, found = onnx_missing(), abilities()
    result = {
        "versions": {**versions(), **_optional_versions()},
        "device": used,
        "exact_sums": True,
        "byte_convolution": {"available": not why_not, "reason": why_not},
        "onnx": {"available": not no_onnx, "reason": no_onnx},
        "c_compiler": compiler(),
        "lava": {"available": lava.available, "reason": lava.reason, "install": INSTALL},
        "abilities": [{"available": not each.reason, **asdict(each)} for each in found],
    }
    lines = [
        *(f"{name:18} {number}" for name, number in result["versions"].items()),
        f"{'device':18} {used} (worst-case integer sums are exact)",
        f"{'spikes sum in':18} "
        + (f"float32: bytes are not used, {why_not}" if why_not else "bytes, float32 elsewhere"),
        *(f"{each.name:18} {each.line}" for each in found),
    ]
    show(result, as_json=json, lines=lines)


def _no_bytes(device: str) -> str:
    return "" if device == "cpu" else f"they need a CPU, not {device}"


def _optional_versions() -> dict[str, str]:
    found = {}
    for name in OPTIONAL:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
