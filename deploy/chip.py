"""What a program asks of a chip: neurons, synapses, field widths, and what may go wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from ..sim.netx.write import why_not_netx
from ..sim.program import Population, Program, Synapse
from .certify import Certificate
from .chip_file import Chip, signed
from .fit import Fit


def chip_report(
    program: Program,
    chip: Chip,
    *,
    scales: dict[str, float],
    certificates: tuple[Certificate, ...],
    fitted: Fit,
    rails: dict[str, int] | None,
    approximations: Sequence[str] = (),
    silent: Sequence[str] = (),
    finetuning: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """What runs on the chip, population by population, as plain data.

    Args:
        program: What runs.
        chip: On what.
        scales: S of each population; a relay has none.
        certificates: Bounds of each population.
        fitted: On how many cores it goes, and what does not.
        rails: How often v stood on its negative rail on the golden samples, by population.
        approximations: What the chip computes otherwise than the network says, each with its size.
        silent: Populations of which no neuron fired on the golden samples.
        finetuning: What training on the chip itself has done; None for none.
    """
    found = {c.population: c for c in certificates}
    approximated = [f"approximation: {each}" for each in approximations]
    rows = [
        {
            "name": p.name,
            "shape": list(p.shape),
            "neurons": p.size,
            "synapses": sum(_synapses(program, s) for s in program.into(p.name)),
            "weights": sum(int(s.weight.size) for s in program.into(p.name)),
            "weight_peak": max(int(np.abs(s.weight).max()) for s in program.into(p.name)),
            "scale": scales.get(p.name),
            **{key: np.asarray(getattr(p, key)).tolist() for key in ("vth", "du", "dv")},
            "is_relay": p.is_relay,
            "bias_peak": _bias_peak(p),
            "certificate": found[p.name].to_json(),
            "negative_rail_seen": None if rails is None else rails[p.name],
        }
        for p in program.populations
    ]
    return {
        "chip": asdict(chip),
        "populations": rows,
        "neurons": sum(p.size for p in program.populations),
        "fit": fitted.to_json(),
        **({} if finetuning is None else {"finetuning": dict(finetuning)}),
        "remarks": [*approximated, *map(_silence, silent), *_remarks(program, chip, found, rails)],
    }


def _silence(name: str) -> str:
    return (
        f"{name}: no neuron fires on any golden image, so what follows sees no image; calibrate on "
        "data of the task, or train at a lower threshold"
    )


def _bias_peak(population: Population) -> int:
    return 0 if population.bias is None else int(np.abs(population.bias).max())


def _synapses(program: Program, synapse: Synapse) -> int:
    """Connections, counting a shared convolution weight once for each place that it acts at."""
    per_output = int(np.prod(synapse.weight.shape[1:]))
    return program.population(synapse.target).size * per_output


def _seen(rails: Mapping[str, int] | None, name: str) -> str:
    return "" if rails is None else f", seen {rails[name]} times on the golden samples"


def _remarks(
    program: Program,
    chip: Chip,
    found: Mapping[str, Certificate],
    rails: Mapping[str, int] | None,
) -> list[str]:
    """What a reader must know: everything that is not exactly as plain integers on this chip."""
    branch = why_not_netx(program)
    remarks = [f"no model.net: {branch}"] if branch else []
    if program.encoding is not None and program.encoding.constant:
        remarks.append(
            f"{program.sources[0].name}: one more channel, of constant payload "
            f"{program.encoding.constant}, brings what biases are too narrow for"
        )
    limit = None if chip.bias_bits is None else signed(chip.bias_bits)[1]
    for p in program.populations:
        if limit is not None and _bias_peak(p) > limit:
            remarks.append(
                f"{p.name}: bias mantissa {_bias_peak(p)} is beyond the {chip.bias_bits} bits of "
                f"{chip.name} (Lava takes 16)"
            )
        if found[p.name].negative_rail == "possible":
            remarks.append(
                f"{p.name}: v may be clipped at its negative rail (bound {found[p.name].v_low}"
                f"{_seen(rails, p.name)})"
            )
        if p.is_relay:
            remarks.append(f"{p.name}: relay of {p.size} neurons that levels a shorter path")
    return remarks
