"""The integer twin: runs a Program, batched and differentiable, to the last bit as Lava would."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..core.errors import DataError, UnsupportedNodeError
from ..core.progress import SILENT, Tracker
from .clock import Clock, Window
from .components import components
from .exact_sums import activation_bounds, exact_dtype, self_test
from .gradients.estimators import Estimator
from .integer_gradient import membrane, spikes, summed
from .integer_neuron import PLAIN_BOUND, Neurons, Registers, is_plain
from .kernel import Kernel, straight_through
from .learnt import Learnt, bias_gradient
from .program import BIAS, Population, Program, Source, Synapse
from .recurrence import Answer, Link, run_loop


@dataclass(frozen=True)
class Run:
    """What a run produced, per population in the program's order.

    Registers and activations, what arrived, are there where they were recorded; an activation that
    is the same at every step is `[1, N, *shape]`.
    """

    spikes: dict[str, Float[Tensor, "T N *shape"]] = field(default_factory=dict)
    registers: dict[str, Registers] = field(default_factory=dict)
    activations: dict[str, Float[Tensor, "t N ..."]] = field(default_factory=dict)
    reading: Float[Tensor, "N K"] | None = None


Observer = Callable[[Program, Run, Mapping[str, Tensor]], None]
"""Is shown what ran, what it did and what entered."""

Wire = Callable[[str, Tensor], Tensor]
"""Of a population's name and the spikes that it sends: those that arrive."""


class Twin:
    """A Program made ready to run.

    Args:
        program: What to run.
        device: Where.
        learnt: Its weights and biases as tensors that gradients reach; None for plain numbers.

    Raises:
        RangeError: If no number format on this device sums exactly what the program may sum.
        DataError: If what is learnt is not what the program holds.
        UnsupportedNodeError: If what is learnt lies in a loop.
    """

    def __init__(
        self,
        program: Program,
        *,
        device: str | torch.device = "cpu",
        learnt: Learnt | None = None,
    ) -> None:
        self.program, self.groups = program, components(program)
        self.learnt = learnt or Learnt()
        self.learnt.check(program, self.groups)
        self.device = torch.device(device)
        self_test(self.device)
        self._bounds = {p.name: self._bound(p) for p in program.populations}
        self._kernels = {p.name: self._prepare(p) for p in program.populations}
        self._biases = {p.name: self._bias(p) for p in program.populations}

    def run(
        self,
        inputs: Mapping[str, Tensor],
        clock: Clock,
        *,
        biases: Mapping[str, Tensor] | None = None,
        estimator: Estimator | None = None,
        record: bool = False,
        wire: Wire | None = None,
        tracker: Tracker = SILENT,
    ) -> Run:
        """Runs a batch from zero state.

        Args:
            inputs: Per source, payload or spikes `[T, N, *shape]`, integers held in any type; on a
                `Window`, `[1, N, *shape]` stands for the same payload at every step.
            clock: Lava's clock, or one window a population.
            biases: Bias mantissas `[N, *shape]` that replace a population's own: how an input
                block is driven.
            estimator: How spikes are differentiated; None gives plain numbers.
            record: Whether to keep u and v of every population, and what arrives there.
            wire: What becomes of spikes on their way, on a `Window`; None loses none.
            tracker: Advanced by populations.

        Raises:
            DataError: If an input is missing, unknown, not whole or out of its source's range, or
                a bias is no integer within int16.
            UnsupportedNodeError: If a synapse is out of step with a window, or spikes are to be
                lost without one.
        """
        self._check_clock(clock, wire)
        self._check_names(inputs)
        trains = {s.name: self._train(s, inputs, clock) for s in self.program.sources}
        replaced = {name: self._given_bias(name, b) for name, b in (biases or {}).items()}
        batch = _batch_size(trains, replaced)
        sent, registers, activations, reading = {}, {}, {}, None
        with tracker.task("twin", len(self.program.populations)) as task:
            for group in self.groups:
                task.advance(0, group[0].name)
                outside = {p.name: self._activation(p, trains, clock, batch) for p in group}
                neurons = {
                    p.name: self._neurons(
                        p,
                        clock,
                        outside[p.name],
                        bias=replaced.get(p.name, self._biases[p.name]),
                        keeps=record or estimator is not None or self._is_read(p),
                    )
                    for p in group
                }
                for name, answer in self._answers(outside, neurons, clock, estimator).items():
                    sent[name] = answer.spikes
                    trains[name] = answer.spikes if wire is None else wire(name, answer.spikes)
                    if record:
                        registers[name] = answer.registers
                        activations[name] = answer.activation
                    if self._is_read(answer.population):
                        reading = self._read(answer)
                    task.advance(1)
        in_order = {p.name: sent[p.name] for p in self.program.populations}
        return Run(in_order, registers, activations, reading)

    def _neurons(
        self,
        population: Population,
        clock: Clock,
        activation: Tensor,
        *,
        bias: Tensor | None,
        keeps: bool,
    ) -> Neurons:
        bound = self._bounds[population.name] + _peak(bias)
        return Neurons(
            population,
            like=activation,
            bias=bias,
            steps=clock.steps,
            resets=clock.resets(population.phase),
            plain=is_plain(population, bound=bound),
            clips=bound * clock.steps >= PLAIN_BOUND,
            keeps=keeps,
        )

    def _answers(
        self,
        outside: Mapping[str, Tensor],
        neurons: Mapping[str, Neurons],
        clock: Clock,
        estimator: Estimator | None,
    ) -> dict[str, Answer]:
        """What a group does with what arrives from elsewhere; what loops goes step by step."""
        links = [
            Link(synapse.source, synapse.target, lateness=clock.lateness(delay), kernel=kernel)
            for name in neurons
            for synapse, delay, kernel in self._kernels[name]
            if synapse.source in neurons
        ]
        if links:
            return run_loop(links, outside, neurons, estimator=estimator)
        ((name, activation),) = outside.items()
        each = neurons[name]
        registers = each.run(activation)
        fired = spikes(activation, registers, each.population, estimator=estimator)
        return {name: Answer(each.population, activation, registers, fired)}

    def _prepare(self, population: Population) -> list[tuple[Synapse, int, Kernel]]:
        """Kernels into one population, split by delay, in one number format that sums them all."""
        dtype = exact_dtype(self._bounds[population.name], largest=self._largest(population))
        synapses = self.program.into(population.name)
        learnt = self.learnt.weights.get(population.name, (None,) * len(synapses))
        return [
            (
                synapse,
                delay,
                Kernel(
                    synapse,
                    part,
                    **self._span(synapse.source),
                    dtype=dtype,
                    device=self.device,
                    learnt=weight,
                ),
            )
            for synapse, weight in zip(synapses, learnt, strict=True)
            for delay, part in by_delay(synapse)
        ]

    def _bound(self, population: Population) -> int:
        """Greatest |sum| into one neuron, before any right shift."""
        bounds = (
            activation_bounds(synapse, **self._span(synapse.source)) << synapse.shift
            for synapse in self.program.into(population.name)
        )
        return int(np.max(sum(bounds), initial=0))

    def _largest(self, population: Population) -> int:
        """Greatest |weight| or |input| of a neuron."""
        synapses = self.program.into(population.name)
        weights = (int(np.abs(s.weight).max(initial=0)) for s in synapses)
        spans = (abs(value) for s in synapses for value in self._span(s.source).values())
        return max([*weights, *spans], default=0)

    def _span(self, name: str) -> dict[str, int]:
        """Least and greatest value of what a node sends."""
        source = self.program.source(name)
        return {"low": source.low, "high": source.high} if source else {"low": 0, "high": 1}

    def _bias(self, population: Population) -> Tensor | None:
        if population.bias is None:
            return None
        bias = np.broadcast_to(population.bias, population.shape).astype(np.int32)
        return torch.from_numpy(bias.copy()).to(self.device)

    def _given_bias(self, name: str, bias: Tensor) -> Tensor:
        shape = self.program.population(name).shape
        if tuple(bias.shape[1:]) != shape:
            raise DataError(
                f"expected biases [N, {', '.join(map(str, shape))}] for population {name!r}, got "
                f"{list(bias.shape)}; check the axes"
            )
        if bias.is_floating_point() or not _lies_in(bias, BIAS.min, BIAS.max):
            raise DataError(
                f"expected integer biases in {BIAS.min}..{BIAS.max} for population {name!r}, got "
                f"{_extent(bias)} in {bias.dtype}; round or scale them"
            )
        return bias.to(self.device, torch.int32)

    def _check_names(self, inputs: Mapping[str, Tensor]) -> None:
        known = [source.name for source in self.program.sources]
        if unknown := [name for name in inputs if name not in known]:
            raise DataError(
                f"expected inputs among {known}, got {unknown[0]!r}; correct the name or leave it "
                f"out"
            )

    def _train(self, source: Source, inputs: Mapping[str, Tensor], clock: Clock) -> Tensor:
        x = inputs.get(source.name)
        if x is None or tuple(x.shape[2:]) != source.shape:
            got = "nothing" if x is None else list(x.shape)
            raise DataError(
                f"expected input [T, N, {', '.join(map(str, source.shape))}] for source "
                f"{source.name!r}, got {got}; check the axes"
            )
        if x.shape[0] != clock.steps and not (x.shape[0] == 1 and isinstance(clock, Window)):
            raise DataError(
                f"expected {clock.steps} steps of source {source.name!r}, got {x.shape[0]}; cut or "
                f"pad the input, only a window holds a single step"
            )
        x = x.to(self.device)
        if x.is_floating_point():
            _check_whole(x.detach(), source.name)
        else:
            x = x.to(torch.float64)
        if not source.is_graded:
            return straight_through(x, lambda x: (x != 0).to(torch.float32))
        if not _lies_in(x.detach(), source.low, source.high):
            raise DataError(
                f"expected payloads of source {source.name!r} in {source.low}..{source.high}, got "
                f"{_extent(x.detach())}; widen the source or check the encoding"
            )
        return x

    def _activation(
        self, population: Population, trains: Mapping[str, Tensor], clock: Clock, batch: int
    ) -> Tensor:
        """Sum of the weighted spikes of all that is known, at the steps in which they arrive."""
        total: Tensor | None = None
        for synapse, delay, kernel in self._kernels[population.name]:
            if (train := trains.get(synapse.source)) is None:
                continue  # a spike that returns: its loop is computed step by step
            sums = kernel(train.flatten(0, 1)).unflatten(0, train.shape[:2])
            late = _later(sums, clock.lateness(delay))
            total = late if total is None else total + late
        if total is None:
            return torch.zeros((1, batch, *population.shape), device=self.device)
        bias = self.learnt.biases.get(population.name)
        return total if bias is None else bias_gradient(total, bias)

    def _check_clock(self, clock: Clock, wire: Wire | None) -> None:
        if wire is not None and not isinstance(clock, Window):
            raise UnsupportedNodeError(
                f"expected a window where spikes are lost on their way, got "
                f"{type(clock).__name__}; show samples in windows"
            )
        wrong = self.program.unlevelled() if isinstance(clock, Window) else []
        if wrong:
            raise UnsupportedNodeError(
                f"expected every path to be levelled, got synapse {wrong[0].label} out of step; "
                f"insert relay populations or run on Lava's clock"
            )

    def _is_read(self, population: Population) -> bool:
        readout = self.program.readout
        return readout is not None and readout.population == population.name

    def _read(self, answer: Answer) -> Tensor:
        readout = self.program.readout
        assert readout is not None
        if readout.kind == "spikes":
            return answer.spikes.sum(0)
        read = membrane if readout.kind == "membrane" else summed
        return read(answer.activation, answer.registers, answer.population)


def _batch_size(trains: Mapping[str, Tensor], biases: Mapping[str, Tensor]) -> int:
    """N of all that was given; 1 where a program's own biases are all that drives it."""
    sizes = {x.shape[1] for x in trains.values()} | {b.shape[0] for b in biases.values()}
    if len(sizes) > 1:
        raise DataError(
            f"expected one batch size for all inputs and biases, got {sorted(sizes)}; repeat the "
            f"shorter ones"
        )
    return sizes.pop() if sizes else 1


def _check_whole(x: Tensor, name: str) -> None:
    """Refuses fractions, NaN and infinity: a chip has none of them."""
    fractions = x.frac()  # NaN of NaN and of infinity
    if fractions.any():
        odd = float(x[fractions != 0][0])
        raise DataError(
            f"expected whole numbers from source {name!r}, got {odd:g}; round the input"
        )


def _lies_in(x: Tensor, low: int, high: int) -> bool:
    return not x.numel() or (int(x.min()) >= low and int(x.max()) <= high)


def _extent(x: Tensor) -> str:
    return f"{float(x.min()):g}..{float(x.max()):g}" if x.numel() else "none"


def _peak(bias: Tensor | None) -> int:
    return 0 if bias is None or not bias.numel() else int(bias.abs().max())


def by_delay(synapse: Synapse) -> list[tuple[int, np.ndarray]]:
    """A synapse's weights, split into parts of one delay each."""
    if isinstance(synapse.delay, int):
        return [(synapse.delay, synapse.weight)]
    delays = np.asarray(synapse.delay)
    return [(int(d), np.where(delays == d, synapse.weight, 0)) for d in np.unique(delays)]


def _later(x: Tensor, steps: int) -> Tensor:
    """A train shifted to later steps, zeros moved in, the end cut off."""
    if steps == 0:
        return x
    steps = min(steps, x.shape[0])
    return torch.cat([torch.zeros_like(x[:steps]), x[: x.shape[0] - steps]])
