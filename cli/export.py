"""`spikeproof export`: folded, lowered NIR, verified before it is written."""

from pathlib import Path
from typing import Annotated

import typer

from .options import Device, Json, Out, Repair, Seed, check_suffix, full_float_device, show
from .progress import RichTracker


def export(
    checkpoint: Annotated[Path, typer.Argument(help="A training folder or a .safetensors in it.")],
    out: Out,
    data: Annotated[str | None, typer.Option(help="Data SPEC to compare on; else noise.")] = None,
    samples: Annotated[int, typer.Option(help="How many images to compare on.", min=1)] = 64,
    onnx: Annotated[Path | None, typer.Option(help="Also write it as this .onnx file.")] = None,
    repair: Repair = False,
    seed: Seed = 0,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Writes a trained network as NIR, equal to it in every spike, or nothing.

    Example: spikeproof export runs/c --out runs/c/model.nir --data cifar10:data
    """
    import numpy as np
    import torch

    from ..core.files import check_writable
    from ..core.randomness import generator
    from ..core.record import write_record
    from ..datasets.images import load
    from ..export.onnx_scope import require_onnx
    from ..export.to_onnx import write_network_onnx
    from ..export.verify import export_network
    from ..sim.graph.file import read_nir
    from ..train.checkpoint import load as load_checkpoint
    from ..train.network import payloads

    full_float_device(device)
    check_suffix(out, ".nir")
    if onnx is not None:
        check_suffix(onnx, ".onnx")
        require_onnx()
    for path in (out, onnx):  # so that one file is not left without the other
        if path is not None:
            check_writable(path)
    network = load_checkpoint(checkpoint)
    config, tracker = network.config, RichTracker()
    if data is None:
        shape, draw = (samples, *config.input_shape), generator(seed, "export")
        images = (
            draw.integers(0, 256, shape, dtype=np.uint8)
            if config.encoding == "direct"
            else draw.poisson(0.5, (config.steps, *shape)).astype(np.uint8)
        )
        classes: tuple[str, ...] = ()
    else:
        read = load(data, frames=config.frames, mend=repair, tracker=tracker)
        found = payloads(config, torch.from_numpy(read.train_images[:samples].copy()))
        images, classes = found.numpy(), read.classes
    report = export_network(
        network, out, images=torch.from_numpy(images), classes=classes, tracker=RichTracker()
    )
    asked = {"checkpoint": checkpoint, "data": data, "samples": samples, "device": device}
    write_record(out, command="export", seed=seed, options=asked | {"onnx": onnx})
    lines = [
        f"wrote {out}: {report.samples} samples, all spikes equal in float64, logits within "
        f"{report.logit_difference:.1e}; float32 classes agree on {report.agreement:.1%}",
        *(f"{layer.name:14} rate {layer.rate:.3f}" for layer in report.layers),
        *(f"warning: layer {name} never spikes" for name in report.silent),
    ]
    result = {"out": str(out), **report.to_dict()}
    if onnx is not None:
        found = write_network_onnx(
            read_nir(out), onnx, samples=torch.from_numpy(images), tracker=RichTracker()
        )
        write_record(onnx, command="export", seed=seed, options=asked | {"onnx": onnx})
        result |= {"onnx": {"out": str(onnx), **found.to_dict()}}
        lines.append(
            f"wrote {onnx}: {found.unflipped:.1%} of {found.samples} samples without a flipped "
            f"spike, logits there within {found.logit_difference:.1e} of torch in float32; "
            f"classes agree on {found.agreement:.1%}"
        )
    show(result, as_json=json, lines=lines)
