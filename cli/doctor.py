"""`spikeproof doctor`: what is installed, what is missing, and how to get it."""

from importlib.metadata import PackageNotFoundError, version

from .options import Device, Json, Seed, device_named, show

OPTIONAL = ("onnx", "onnxruntime", "ray", "tonic")
"""Libraries of the extras; this version offers nothing that needs them."""


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
    result = {
        "versions": {**versions(), **_optional_versions()},
        "device": used,
        "exact_sums": True,
        "lava": {"available": lava.available, "reason": lava.reason, "install": INSTALL},
    }
    lines = [
        *(f"{name:18} {number}" for name, number in result["versions"].items()),
        f"{'device':18} {used} (worst-case integer sums are exact)",
        f"{'Lava':18} " + ("usable" if lava.available else f"not usable: {lava.reason}; {INSTALL}"),
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
