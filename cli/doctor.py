"""`spikeproof doctor`: what is installed, what is missing, and how to get it."""

import importlib.util
from importlib.metadata import PackageNotFoundError, version

from .options import Device, Json, Seed, device_named, show

OPTIONAL = {
    "tonic": ("event data sets", "pip install 'spikeproof[events]'"),
    "onnx": ("ONNX files", "pip install 'spikeproof[onnx]'"),
    "onnxruntime": ("running ONNX files", "pip install 'spikeproof[onnx]'"),
    "ray": ("audits spread over machines", "pip install 'spikeproof[scale]'"),
}


def doctor(seed: Seed = 0, device: Device = "auto", json: Json = False) -> None:
    """Says what is installed, which device is used, and whether Lava can check the twin.

    Example: spikeproof doctor --json
    """
    import torch

    from ..core.record import versions
    from ..sim.kernel import self_test
    from ..sim.lava import INSTALL, lava_status

    del seed
    used = device_named(device)
    self_test(torch.device(used))
    lava = lava_status()
    missing = {
        name: {"gives": gives, "install": how}
        for name, (gives, how) in OPTIONAL.items()
        if importlib.util.find_spec(name) is None
    }
    result = {
        "versions": {**versions(), **_optional_versions()},
        "device": used,
        "exact_sums": True,
        "lava": {"available": lava.available, "reason": lava.reason, "install": INSTALL},
        "missing": missing,
    }
    lines = [
        *(f"{name:18} {number}" for name, number in result["versions"].items()),
        f"{'device':18} {used} (worst-case integer sums are exact)",
        f"{'Lava':18} " + ("usable" if lava.available else f"not usable: {lava.reason}; {INSTALL}"),
        *(f"{name:18} missing ({m['gives']}): {m['install']}" for name, m in missing.items()),
    ]
    show(result, as_json=json, lines=lines)


def _optional_versions() -> dict[str, str]:
    found = {}
    for name in OPTIONAL:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
