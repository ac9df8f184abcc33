"""A Program as an ONNX file whose every output bit is the twin's.

images (uint8) → payload → per population: weighted sums of all T steps at once, then a Scan
over the steps → reading → logits
"""

import numpy as np

from ..core.errors import FormatError, UnsupportedNodeError
from ..sim.classifier import LEVELS
from ..sim.clock import Clock, LavaClock, Window
from ..sim.components import components
from ..sim.interface import Encoding
from ..sim.program import Program, Source
from . import whole
from .integer_groups import Wiring, spike_train, write_group
from .integer_reading import logits
from .integer_sums import Sums, Train, arithmetic
from .onnx_scope import Scope, Shapes, Value
from .whole import Whole

IMAGES, FRAMES, LOGITS = "images", "frames", "logits"
MATCHES = "Lava fixed-point model"


def classifier_onnx(program: Program, *, how: Sums = "integer", record: bool = False) -> bytes:
    """A deployed network as an ONNX file: `images` uint8 `[N, C, H, W]` to `logits` `[N, K]`.

    A network for events takes `frames` uint8 `[T, N, C, H, W]`, up to their cap.

    Args:
        program: With one source, an encoding and a read-out.
        how: Sums by integer operators throughout, or in float32 where that is proven exact.
        record: Whether the file also answers `s{k}` (uint8), `u{k}` and `v{k}` (int32)
            `[T, N, *shape]` of population k.

    Raises:
        FormatError: If the program does not say how images enter and logits leave.
        UnsupportedNodeError: If its paths are not levelled.
        RangeError: If its sums cannot be computed exactly.
        MissingAbilityError: If onnx or onnxruntime is not installed.
    """
    encoding, readout = program.encoding, program.readout
    if encoding is None or readout is None or len(program.sources) != 1:
        raise FormatError(
            "expected a program with one input, an encoding and a read-out, got a bare network; "
            "deploy a NIR file to get one"
        )
    _check_levels(program)
    (source,), is_direct = program.sources, encoding.kind == "direct"
    entry = (IMAGES, 0) if is_direct else (FRAMES, 1)
    wiring = _wiring(program, Window(steps=encoding.steps), how, record, batch=entry)
    train = (_images if is_direct else _frames)(wiring.scope, program, encoding)
    wiring.trains[source.name], wiring.steps[source.name] = train, encoding.frames
    outputs, reading = _populations(wiring)
    assert reading is not None
    wiring.scope.rename(logits(wiring.scope, readout, reading), LOGITS)
    size = program.population(readout.population).size
    return wiring.scope.model(
        name="deployed",
        doc="Integers of a deployed spiking network; its input is uint8, as it is stored.",
        inputs={
            entry[0]: (
                np.uint8,
                [*([] if is_direct else [encoding.steps]), "N", *program.sample_map],
            )
        },
        outputs={LOGITS: (np.float32, ["N", size]), **outputs},
        metadata=_metadata(wiring),
    )


def program_onnx(program: Program, clock: LavaClock, *, how: Sums = "integer") -> bytes:
    """Any Program on Lava's clock as an ONNX file, from trains to traces.

    Inputs are int32 `[T, N, *shape]` by source; outputs `s{k}`, `u{k}` and `v{k}` as above.

    Raises:
        RangeError: If its sums cannot be computed exactly.
        MissingAbilityError: If onnx or onnxruntime is not installed.
    """
    first = program.sources[0].name if program.sources else None
    wiring = _wiring(program, clock, how, True, batch=None if first is None else (first, 1))
    for source in program.sources:
        wiring.trains[source.name] = _train(wiring.scope, source)
        wiring.steps[source.name] = clock.steps
    outputs, _ = _populations(wiring)
    return wiring.scope.model(
        name="program",
        doc="A program of integers on Lava's clock.",
        inputs={s.name: (np.int32, [clock.steps, "N", *s.shape]) for s in program.sources},
        outputs=outputs,
        metadata=_metadata(wiring),
    )


def _check_levels(program: Program) -> None:
    if wrong := program.unlevelled():
        raise UnsupportedNodeError(
            f"expected every path to be levelled, got synapse {wrong[0].label} out of step; insert "
            f"relay populations"
        )


def _wiring(
    program: Program, clock: Clock, how: Sums, record: bool, *, batch: tuple[str, int] | None
) -> Wiring:
    """An empty graph; N is an axis of an input, 1 where there is no input."""
    scope = Scope()
    name, axis = batch or ("", 0)
    size = scope.add("Shape", name, start=axis, end=axis + 1) if batch else scope.integers(1)
    return Wiring(
        program=program,
        clock=clock,
        how=how,
        record=record,
        scope=scope,
        batch=size,
        trains={},
        steps={},
    )


def _images(scope: Scope, program: Program, encoding: Encoding) -> Train:
    """What enters at every step: the level minus its channel's offset."""
    offset = encoding.offset or (0,) * program.sample_map[0]
    return Train(
        raw=Whole(name=_room(scope, IMAGES, encoding), low=0, high=LEVELS, dtype=np.uint8),
        shift=_shift(offset, encoding),
        low=-max(offset),
        high=LEVELS - min(offset),
    )


def _room(scope: Scope, levels: Value, encoding: Encoding) -> Value:
    """Levels `[N, C, H, W]`, and a map of zeros behind them if a constant is to stand in it."""
    if not encoding.constant:
        return levels
    return scope.add("Pad", levels, scope.integers(0, 0, 0, 0, 0, 1, 0, 0))


def _shift(offset: tuple[int, ...], encoding: Encoding) -> np.ndarray:
    """What is added to the levels of each channel."""
    constant = [encoding.constant] if encoding.constant else []
    return np.array([*(-each for each in offset), *constant])


def _frames(scope: Scope, program: Program, encoding: Encoding) -> Train:
    """What enters at each step: the level minus its channel's offset, or whether there is one."""
    (source,), offset = program.sources, encoding.offset
    x = scope.add("Reshape", FRAMES, scope.integers(-1, *program.sample_map))
    if not source.is_graded:
        return spike_train(scope.cast(scope.cast(x, np.bool_), np.uint8))
    return Train(
        raw=Whole(name=_room(scope, x, encoding), low=0, high=program.peak, dtype=np.uint8),
        shift=_shift(offset, encoding),
        low=-max(offset),
        high=program.peak - min(offset),
    )


def _train(scope: Scope, source: Source) -> Train:
    """Payload, or spikes: anything but 0 is one where the source is binary."""
    x = scope.add("Reshape", source.name, scope.integers(-1, *source.shape))
    if not source.is_graded:
        return spike_train(scope.cast(scope.cast(x, np.bool_), np.uint8))
    low, high = min(source.low, 0), max(source.high, 0)
    given = Whole(name=x, low=low, high=high, dtype=np.int32)
    raw = whole.add(scope, given, whole.constant(scope, np.array(-low)))
    raw = Whole(name=raw.name, low=0, high=high - low, dtype=raw.dtype)
    return Train(raw=raw, shift=np.full(source.shape[0], low), low=low, high=high)


def _populations(wiring: Wiring) -> tuple[Shapes, Whole | None]:
    """All populations in order; outputs by name, in the program's order, and what is read."""
    program, scope = wiring.program, wiring.scope
    answers, reading = {}, None
    heard = {synapse.source for synapse in program.synapses}
    for group in components(program):
        for name, answer in write_group(wiring, group).items():
            answers[name], reading = answer, answer.reading or reading
            if name in heard:
                shape = scope.integers(-1, *program.shapes[name])
                wiring.trains[name] = spike_train(scope.add("Reshape", answer.traces["s"], shape))
                wiring.steps[name] = wiring.clock.steps
    outputs: Shapes = {}
    for k, population in enumerate(program.populations if wiring.record else ()):
        for key, value in answers[population.name].traces.items():
            dtype = np.uint8 if key == "s" else np.int32
            shape = [wiring.clock.steps, "N", *population.shape]
            outputs[scope.rename(value, f"{key}{k}")] = (dtype, shape)
    return outputs, reading


def _metadata(wiring: Wiring) -> dict[str, str]:
    """What a reader of the file should know: what it matches, and how each synapse is summed."""
    program = wiring.program
    kinds = []
    for synapse in program.synapses:
        train = wiring.trains[synapse.source]
        kind = arithmetic(synapse, low=train.low, high=train.high, how=wiring.how)
        kinds.append(f"{synapse.label}: {kind}")
    return {
        "matches": MATCHES,
        "steps": str(wiring.clock.steps),
        "populations": " ".join(p.name for p in program.populations),
        "sums": "; ".join(kinds),
    }
