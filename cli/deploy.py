"""`spikeproof deploy`: integers, chip report, golden vectors, manifest."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..core.errors import ConfigError
from .options import Device, Epsilon, Json, Out, Repair, Seed, full_float_device, radius, show
from .progress import RichTracker
from .tuning import check_tuning, held_out, tuning_on, tuning_recipe

if TYPE_CHECKING:
    from ..sim.graph.meta import InputFrames

Sums = Literal["integer", "float32"]


def deploy(
    model: Annotated[Path, typer.Argument(help="A .nir file.")],
    out: Out,
    chip: Annotated[
        str, typer.Option(help="loihi1, loihi2, or a .toml file that describes one.")
    ] = "loihi2",
    must_fit: Annotated[
        bool, typer.Option("--require-fit", help="Refuse a network that does not fit the chip.")
    ] = False,
    bits: Annotated[
        str, typer.Option(help="Bits of a weight, 2 to 8; or of layers, as in first=8,*=4.")
    ] = "8",
    calibrate: Annotated[
        str | None, typer.Option(help="Data SPEC; scales are searched on its training part.")
    ] = None,
    epsilon: Epsilon = None,
    search_samples: Annotated[
        int, typer.Option(help="Samples attacked for each scale tried; 0 searches none.", min=0)
    ] = 128,
    finetune: Annotated[
        int | None, typer.Option(help="Epochs of training on the chip itself; with --data.", min=1)
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Data SPEC to fine-tune on; scales are searched on what it holds out."),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Fine-tunes by its method, attack and weights.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value of fine-tuning, as often as wanted."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="First N training samples of --data.", min=2)
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where fine-tuning stopped.")
    ] = False,
    repair: Repair = False,
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
    binning: Annotated[
        str | None, typer.Option(help="Bins of equal time or count, where the file lacks it.")
    ] = None,
    cap: Annotated[
        int | None, typer.Option(help="Most events a cell of a frame, where the file lacks it.")
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
    constant_channel: Annotated[
        bool, typer.Option(help="Large first biases may arrive from a constant input channel.")
    ] = True,
    seed: Seed = 0,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Puts a NIR network on a chip and seals the result as a bundle.

    Example: spikeproof deploy model.nir --out bundle --calibrate cifar10:data --bits 8

    Example: spikeproof deploy model.nir --out bundle --bits 4 --finetune 2 --data digits

    Example: spikeproof deploy foreign.nir --out bundle --dt 1e-4 --steps 8 --encoding direct
    --readout membrane --reset subtract --allow-approximation
    """
    from ..deploy.deployment import DeployConfig, frames_of, run
    from ..deploy.scale import SearchConfig

    used = full_float_device(device)
    check_tuning(
        finetune,
        data,
        calibrate,
        {"preset": preset, "set": set_, "limit": limit, "resume": resume or None},
    )
    if epsilon is not None and calibrate is None and data is None:
        raise ConfigError(
            f"expected --calibrate or --data with --epsilon {epsilon:g}, got neither; give one, or "
            "leave it out: without data nothing is attacked"
        )
    if onnx_sums != "integer" and not onnx:
        raise ConfigError(
            f"expected --onnx with --onnx-sums {onnx_sums}, got none; give it, or leave both out"
        )
    given = {"dt": dt, "steps": steps, "encoding": encoding, "readout": readout, "reset": reset}
    given |= {"integration": integration, "input_frames": _cells(binning, cap)}
    frames = frames_of(model, given=given)
    every, single = layer_bits(bits)
    learnt, tuning, calibration = None, None, None
    if finetune is not None and data is not None:
        learnt = tuning_recipe(
            finetune, preset, set_ or [], epsilon=radius(epsilon, frames), seed=seed
        )
        tuning, calibration = tuning_on(
            data,
            learnt,
            out,
            limit=limit,
            device=used,
            resume=resume,
            frames=frames,
            repair=repair,
        )
    elif calibrate is not None:
        count = max(128, golden, search_samples)
        calibration = held_out(calibrate, seed=seed, count=count, frames=frames, repair=repair)
    report = run(
        DeployConfig(
            chip=chip,
            bits=every,
            layer_bits=single,
            finetune=learnt,
            seed=seed,
            search=SearchConfig(epsilon=radius(epsilon, frames), samples=search_samples, seed=seed),
            allow_approximation=allow_approximation,
            onnx=onnx_sums if onnx else None,
            c99=c99,
            golden=golden,
            require_fit=must_fit,
            constant_channel=constant_channel,
        ),
        model,
        out,
        given=given,
        calibration=calibration,
        tuning=tuning,
        tracker=RichTracker(),
    )
    show({"bundle": str(out), **report}, as_json=json, lines=_lines(out, report))


def _cells(binning: str | None, cap: int | None) -> "InputFrames | None":
    """What frames hold, as far as it was said."""
    from ..sim.graph.meta import InputFrames

    said = {"binning": binning, "cap": cap}
    said = {name: value for name, value in said.items() if value is not None}
    return InputFrames(**said) if said else None  # type: ignore[arg-type]


def layer_bits(text: str) -> tuple[int, dict[str, int]]:
    """`8`, or `first=8,*=4`: bits of every layer, and of those that are named.

    Raises:
        ConfigError: If it is neither.
    """
    words = {}
    for word in text.split(","):
        name, equals, value = word.strip().rpartition("=")
        name = name if equals else "*"
        if not name or not value.isdecimal() or name in words:
            raise ConfigError(
                f"expected bits as a number, or once a layer as in first=8,*=4, got {text!r}; "
                "correct it"
            )
        words[name] = int(value)
    return words.pop("*", 8), words


def _lines(out: Path, report: dict[str, Any]) -> list[str]:
    from ..deploy.fit import lines as fit_lines

    header = (
        f"{'population':14} {'neurons':>8} {'synapses':>9} {'vth':>7} {'scale':>9}  certificate "
        "(LSB of the register from bound to rail)"
    )
    rows = [
        f"{p['name']:14} {p['neurons']:8} {p['synapses']:9} {p['vth']:7} {_scale(p)}  "
        f"{_certified(p)}"
        for p in report["populations"]
    ]
    tuned = report.get("finetuning")
    learnt = [] if tuned is None else [_learnt(tuned)]
    remarks = [f"note: {remark}" for remark in report["remarks"]]
    fitted, memory = fit_lines(report["fit"]), _memory(report)
    return [f"wrote {out}", *learnt, header, *rows, *remarks, *fitted, *memory]


def _certified(population: dict[str, Any]) -> str:
    found = population["certificate"]
    lsb = found["margins"]
    return (
        f"u never wraps ({lsb['u_wrap']:+}), "
        f"clip {found['positive_clip']} ({lsb['positive_clip']:+}), "
        f"rail {found['negative_rail']} ({lsb['negative_rail']:+}, "
        f"seen {population['negative_rail_seen']})"
    )


def _memory(report: dict[str, Any]) -> list[str]:
    if "c99" not in report:
        return []
    constants, ram = report["c99"]["constant_bytes"], report["c99"]["ram_bytes"]
    return [f"C99: {constants:,} bytes of constants beside the code, {ram:,} bytes of memory"]


def _learnt(tuned: dict[str, Any]) -> str:
    before, after = tuned["robust_before"], tuned["robust_after"]
    return (
        f"fine-tuned {tuned['epochs']} epochs by {tuned['method']}: robust on held-out training "
        f"samples {before:.1%} before, {after:.1%} after"
    )


def _scale(population: dict[str, Any]) -> str:
    return f"{'relay':>9}" if population["is_relay"] else f"{population['scale']:9.2f}"
