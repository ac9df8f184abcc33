"""`spikeproof record`: simulated recordings of images, in CIFAR10-DVS's folders and names."""

from pathlib import Path
from typing import Annotated

import typer

from .options import Data, Device, Json, Seed, full_float_device, show
from .progress import RichTracker


def record(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="A new folder, or simulated recordings.")],
    format_: Annotated[
        str, typer.Option("--format", help="aedat (2.0, as published) or aedat4 (as today).")
    ] = "aedat4",
    per_class: Annotated[int, typer.Option(help="Recordings of each class, 10 to 1000.")] = 100,
    loops: Annotated[int, typer.Option(help="Times around the closed path, 0.2 s each.")] = 6,
    threshold_on: Annotated[float, typer.Option(help="Rise of log intensity of an event.")] = 0.28,
    threshold_off: Annotated[float, typer.Option(help="Fall of log intensity.")] = 0.28,
    refractory: Annotated[int, typer.Option(help="Microseconds that a pixel rests.")] = 500,
    noise: Annotated[float, typer.Option(help="Events a second and pixel without cause.")] = 0.1,
    seed: Seed = 0,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Records images with a simulated DVS128, marked as simulated, as CIFAR10-DVS lies on disk.

    No camera is involved: the image moves along the path of CIFAR10-DVS's makers before a model of
    the sensor. Read the folder with --data cifar10-dvs:DIR, as the real one.

    Example: spikeproof record --data cifar10:data --out runs/dvs --format aedat --per-class 100
    """
    from ..datasets.dvs_camera import CameraConfig
    from ..datasets.images import load
    from ..datasets.moving_image import MotionConfig
    from ..datasets.simulated_dvs import SimulationConfig, simulate

    full_float_device(device)
    config = SimulationConfig(
        per_class=per_class,
        format=format_,
        camera=CameraConfig(
            threshold_on=threshold_on,
            threshold_off=threshold_off,
            refractory=refractory,
            noise=noise,
        ),
        motion=MotionConfig(loops=loops),
        seed=seed,
    )
    read = load(data)
    events = simulate(config, read, out, tracker=RichTracker())
    count = per_class * len(read.classes)
    found = {"out": str(out), "recordings": count, "events": events, "config": config.to_dict()}
    lines = [
        f"wrote {count} simulated recordings with {events} events to {out}",
        f"read them with --data cifar10-dvs:{out}",
    ]
    show({**found, "simulated": True}, as_json=json, lines=lines)
