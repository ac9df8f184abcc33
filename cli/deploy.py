"""`spikeproof deploy`: integers, chip report, golden vectors, manifest."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..core.errors import ConfigError
from .options import Device, Epsilon, Json, Out, Seed, full_float_device, radius, show
from .progress import RichTracker

if TYPE_CHECKING:
    from ..datasets.frames import FrameConfig
    from ..deploy.deployment import Calibration

Sums = Literal["integer", "float32"]
NOT_YET = "it is not in this version"


def deploy(
    model: Annotated[Path, typer.Argument(help="A .nir file.")],
    out: Out,
    chip: Annotated[
        str, typer.Option(help="loihi1, loihi2, or a .toml file that describes one.")
    ] = "loihi2",
    must_fit: Annotated[
        bool, typer.Option("--require-fit", help="Refuse a network that does not fit the chip.")
    ] = False,
    bits: Annotated[int, typer.Option(help="Bits of a weight, 2 to 8.")] = 8,
    calibrate: Annotated[
        str | None, typer.Option(help="Data SPEC; scales are searched on its training part.")
    ] = None,
    epsilon: Epsilon = None,
    finetune: Annotated[int | None, typer.Option(help="Not in this version.")] = None,
    data: Annotated[str | None, typer.Option(help="Not in this version.")] = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Also write the integers as model.onnx.")
    ] = False,
    golden: Annotated[
        int, typer.Option(help="Golden samples that the bundle holds, for `verify`.", min=1)
    ] = 16,
    c99: Annotated[
        bool, typer.Option("--c99", help="Also write the integers as C99, without a library.")
    ] = False,
    onnx_sums: Annotated[
        Sums, typer.Option(help="What sums in it: integer operators, or float32 where exact.")
    ] = "integer",
    dt: Annotated[float | None, typer.Option(help="Time step, where the file lacks it.")] = None,
    steps: Annotated[int | None, typer.Option(help="T, where the file lacks it.")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="direct or frames, where the file lacks it.")
    ] = None,
    readout: Annotated[str | None, typer.Option(help="membrane, last or spikes.")] = None,
    reset: Annotated[str | None, typer.Option(help="zero, value or subtract.")] = None,
    integration: Annotated[
        str | None, typer.Option(help="euler (where the file lacks it) or exponential.")
    ] = None,
    allow_approximation: Annotated[
        bool,
        typer.Option("--allow-approximation", help="List what the chip holds only nearly."),
    ] = False,
    seed: Seed = 0,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Puts a NIR network on a chip and seals the result as a bundle.

    Example: spikeproof deploy model.nir --out bundle --calibrate cifar10:data --bits 8

    Example: spikeproof deploy foreign.nir --out bundle --dt 1e-4 --steps 8 --encoding direct
    --readout membrane --reset subtract --allow-approximation
    """
    from ..deploy.deployment import DeployConfig, frames_of, run
    from ..deploy.scale import SearchConfig

    full_float_device(device)
    for name, asked in (("finetune", finetune), ("data", data)):
        if asked is not None:
            raise ConfigError(f"expected no --{name}, got it; {NOT_YET}")
    if onnx_sums != "integer" and not onnx:
        raise ConfigError(
            f"expected --onnx with --onnx-sums {onnx_sums}, got none; give it, or leave both out"
        )
    given = {"dt": dt, "steps": steps, "encoding": encoding, "readout": readout, "reset": reset}
    given |= {"integration": integration}
    frames = frames_of(model, given=given)
    report = run(
        DeployConfig(
            chip=chip,
            bits=bits,
            seed=seed,
            search=SearchConfig(epsilon=radius(epsilon, frames), seed=seed),
            allow_approximation=allow_approximation,
            onnx=onnx_sums if onnx else None,
            c99=c99,
            golden=golden,
            require_fit=must_fit,
        ),
        model,
        out,
        given=given,
        calibration=None
        if calibrate is None
        else held_out(calibrate, seed=seed, count=max(128, golden), frames=frames),
        tracker=RichTracker(),
    )
    show({"bundle": str(out), **report}, as_json=json, lines=_lines(out, report))


def held_out(
    spec: str, *, seed: int, count: int = 128, frames: "FrameConfig | None" = None
) -> "Calibration":
    """Samples of a data set's training part; never of its test part."""
    from ..datasets.images import load, split
    from ..deploy.deployment import Calibration

    data = load(spec, frames=frames, tracker=RichTracker())
    _, part = split(data, seed=seed, holdout=min(count, len(data.train_labels) - 1))
    what = "images" if data.steps is None else "recordings"
    what = f"simulated {what}" if data.is_simulated else what
    return Calibration(
        images=part.images,
        labels=part.labels,
        source=f"{spec}: {len(part)} {what} of the training part, split by seed {seed}",
    )


def _lines(out: Path, report: dict[str, Any]) -> list[str]:
    from ..deploy.fit import lines as fit_lines

    header = (
        f"{'population':14} {'neurons':>8} {'synapses':>9} {'vth':>7} {'scale':>9}  certificate"
    )
    rows = [
        f"{p['name']:14} {p['neurons']:8} {p['synapses']:9} {p['vth']:7} {_scale(p)}  "
        f"u never wraps, clip {p['certificate']['positive_clip']}, "
        f"rail {p['certificate']['negative_rail']} (seen {p['negative_rail_seen']})"
        for p in report["populations"]
    ]
    remarks = [f"note: {remark}" for remark in report["remarks"]]
    return [f"wrote {out}", header, *rows, *remarks, *fit_lines(report["fit"]), *_memory(report)]


def _memory(report: dict[str, Any]) -> list[str]:
    if "c99" not in report:
        return []
    constants, ram = report["c99"]["constant_bytes"], report["c99"]["ram_bytes"]
    return [f"C99: {constants:,} bytes of constants beside the code, {ram:,} bytes of memory"]


def _scale(population: dict[str, Any]) -> str:
    return f"{'relay':>9}" if population["is_relay"] else f"{population['scale']:9.2f}"
