"""Runs the deployed integers of a bundle with numpy and onnxruntime alone, and checks them.

python run_integer_onnx.py BUNDLE    a folder that `spikeproof deploy --onnx` wrote
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime


def main(bundle: Path) -> int:
    """Prints a class a sample, and whether every logit is what the simulated chip computed."""
    session = onnxruntime.InferenceSession(
        bundle / "model.onnx", providers=["CPUExecutionProvider"]
    )
    stated = session.get_modelmeta().custom_metadata_map
    print(f"integers of {stated['matches']}, {stated['steps']} steps")
    golden = np.load(bundle / "golden.npz")
    if "frames" in golden:  # of a network for events, T N C H W
        given = {"frames": golden["frames"]}
    else:  # stored as N H W C, taken as N C H W
        given = {"images": np.ascontiguousarray(golden["images"].transpose(0, 3, 1, 2))}
    found = session.run(["logits"], given)
    logits = np.asarray(found[0])
    differs = (logits != golden["logits"]).any(axis=1)
    for sample, row in enumerate(logits):
        print(
            f"sample {sample}: class {row.argmax()}, {'DIFFERENT' if differs[sample] else 'equal'}"
        )
    print(f"{differs.sum()} of {len(differs)} samples differ from the simulated chip")
    return int(differs.any())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
