"""`spikeproof simulate`: runs a `.net`, a bundle or a `.nir`."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from ..core.errors import ConfigError, FormatError
from .options import Device, Json, Seed, check_suffix, full_float_device, show
from .progress import RichTracker

if TYPE_CHECKING:
    from ..sim.program import Program

Arrays = dict[str, np.ndarray]


def simulate(
    net: Annotated[Path, typer.Argument(help="A .net file, a bundle's folder or a .nir file.")],
    source: Annotated[Path, typer.Option("--input", help="npz with the input.")],
    out: Annotated[Path, typer.Option("--out", help="npz to write.")],
    backend: Annotated[str, typer.Option(help="twin, lava or float.")] = "twin",
    trace: Annotated[bool, typer.Option("--trace", help="Also write u and v (.net).")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse what Lava would change.")
    ] = False,
    telemetry: Annotated[
        bool, typer.Option("--telemetry", help="Print activity, SynOps and registers' peaks.")
    ] = False,
    dt: Annotated[float | None, typer.Option(help="Time step that a .nir file lacks.")] = None,
    steps: Annotated[int | None, typer.Option(help="T that a .nir file lacks.")] = None,
    encoding: Annotated[str | None, typer.Option(help="direct or frames, for a .nir.")] = None,
    readout: Annotated[
        str | None, typer.Option(help="membrane, last or spikes, for a .nir.")
    ] = None,
    reset: Annotated[str | None, typer.Option(help="zero, value or subtract, for a .nir.")] = None,
    integration: Annotated[
        str | None, typer.Option(help="euler or exponential, for a .nir.")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Runs a network on the inputs of an npz file.

    Example: spikeproof simulate net.net --input in.npz --out out.npz --backend lava --trace
    """
    from ..core.files import check_writable
    from ..core.record import write_record
    from ..sim.arrays import write_arrays

    check_suffix(out, ".npz")
    if out.resolve() == source.resolve():
        raise ConfigError(
            f"expected --out to be another file than --input, got {out} for both; the input would "
            f"be lost, name another"
        )
    used = full_float_device(device)
    given = {"dt": dt, "steps": steps, "encoding": encoding, "readout": readout, "reset": reset}
    given |= {"integration": integration}
    kind = _kind(net)
    if kind != ".net" and (trace or strict):
        raise ConfigError(
            f"expected --trace and --strict with a .net file only, got a {kind}; its bundle's "
            f"model.net can be traced"
        )
    if kind != ".nir" and any(value is not None for value in given.values()):
        named = ", ".join(f"--{name}" for name, value in given.items() if value is not None)
        raise ConfigError(f"expected {named} with a .nir file only, got a {kind}; leave it out")
    try:
        execute = EXECUTORS[kind, backend]
    except KeyError:
        known = ", ".join(b for k, b in EXECUTORS if k == kind)
        raise ConfigError(
            f"expected backend {known} for a {kind}, got {backend!r}; choose one of them"
        ) from None
    if telemetry and backend != "twin":
        raise ConfigError(
            f"expected --telemetry with the twin only, got backend {backend!r}; leave it out"
        )
    check_writable(out)
    observed = _Observed()
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = _say
        arrays = execute(
            net,
            source,
            trace=trace,
            strict=strict,
            given=given,
            device=used,
            observe=observed if telemetry else None,
            tracker=RichTracker(),
        )
    write_arrays(out, arrays)
    options = {"network": net, "input": source, "backend": backend, "device": used, **given}
    options |= {"trace": trace, "strict": strict, "telemetry": telemetry}
    write_record(out, command="simulate", seed=seed, options=options)
    spikes = {name: int(a.sum()) for name, a in arrays.items() if name[:1] == "s"}
    result = {"out": str(out), "backend": backend, "kind": kind, "spikes": spikes}
    lines = [f"wrote {out} ({backend})", *(f"{name}: {n} spikes" for name, n in spikes.items())]
    if telemetry:
        result["telemetry"] = observed.rows
        lines += observed.lines
    show(result, as_json=json, lines=lines)


class _Observed:
    """Telemetry of the run that it is shown."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []
        self.lines: list[str] = []

    def __call__(self, *seen: Any) -> None:
        from ..sim.telemetry import table, telemetry

        found = telemetry(*seen)
        self.rows, self.lines = [row.to_json() for row in found], table(found)


def _kind(path: Path) -> str:
    from ..deploy.bundle import is_bundle

    if path.suffix in (".net", ".nir") and path.is_file():
        return path.suffix
    if path.is_dir() and is_bundle(path):
        return "bundle"
    raise FormatError(
        f"expected a .net file, a .nir file or a bundle at {path}, got none; check the path"
    )


def _net_twin(net: Path, source: Path, **options: Any) -> Arrays:
    from ..sim.netx.input import read_input
    from ..sim.netx.simulation import simulate_twin

    return simulate_twin(
        net,
        read_input(source),
        trace=options["trace"],
        strict=options["strict"],
        device=options["device"],
        observe=options["observe"],
        tracker=options["tracker"],
    )


def _net_lava(net: Path, source: Path, **options: Any) -> Arrays:
    from ..sim.netx.input import read_input
    from ..sim.netx.simulation import simulate_lava

    return simulate_lava(
        net,
        read_input(source),
        trace=options["trace"],
        strict=options["strict"],
        tracker=options["tracker"],
    )


def _bundle_twin(net: Path, source: Path, **options: Any) -> Arrays:
    from ..deploy.bundle import read_bundle

    return _program_twin(read_bundle(net).program, source, **options)


def _bundle_lava(net: Path, source: Path, **options: Any) -> Arrays:
    from ..deploy.bundle import read_bundle
    from ..deploy.executors import run_on_lava
    from ..deploy.samples import lattice_samples, read_samples

    bundle = read_bundle(net)
    shown = lattice_samples(bundle.program, read_samples(source))
    return run_on_lava(bundle, shown, tracker=options["tracker"]).arrays()


def _bundle_float(net: Path, source: Path, **options: Any) -> Arrays:
    from ..deploy.bundle import read_bundle

    bundle = read_bundle(net)
    asked = {name: value for name, value in options["given"].items() if value is not None}
    return _nir_float(bundle.nir, source, **options | {"given": bundle.metadata | asked})


def _nir_float(net: Path, source: Path, **options: Any) -> Arrays:
    from ..deploy.executors import load_float, run_float
    from ..deploy.samples import read_samples

    network = load_float(net, options["given"], options["device"])
    return run_float(network, read_samples(source), tracker=options["tracker"]).arrays()


def _nir_twin(net: Path, source: Path, **options: Any) -> Arrays:
    """A NIR file without a bundle: quantised at the largest scales that fit."""
    from ..deploy.deployment import DeployConfig, to_integers

    program = to_integers(DeployConfig(), net, given=options["given"]).program
    return _program_twin(program, source, **options)


def _program_twin(program: "Program", source: Path, **options: Any) -> Arrays:
    from ..deploy.executors import run_twin
    from ..deploy.samples import lattice_samples, read_samples

    return run_twin(
        program,
        lattice_samples(program, read_samples(source)),
        options["device"],
        observe=options["observe"],
        tracker=options["tracker"],
    ).arrays()


EXECUTORS: dict[tuple[str, str], Callable[..., Arrays]] = {
    (".net", "twin"): _net_twin,
    (".net", "lava"): _net_lava,
    ("bundle", "twin"): _bundle_twin,
    ("bundle", "lava"): _bundle_lava,
    ("bundle", "float"): _bundle_float,
    (".nir", "twin"): _nir_twin,
    (".nir", "float"): _nir_float,
}


def _say(message: Warning | str, *_: object, **__: object) -> None:
    typer.echo(f"warning: {message}", err=True)
