"""Small programs that no `.net` file can hold, each with its input and clock."""

from dataclasses import dataclass

import numpy as np
import torch

from spikeproof.core.axes import train_to_lava
from spikeproof.sim.clock import LavaClock
from spikeproof.sim.oracle.request import ProgramRequest
from spikeproof.sim.program import Population, Program, Source, Synapse
from spikeproof.sim.twin import Twin
from spikeproof.tests.reference import reference
from spikeproof.tests.sim.programs import classifier, ramp


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A program, what enters it `[T, *shape]`, and the numbers of its clock."""

    program: Program
    inputs: dict[str, np.ndarray]
    steps: int
    interval: int | None = None
    offset: int = 0

    def request(self):
        return ProgramRequest(
            program=self.program,
            steps=self.steps,
            inputs={name: train_to_lava(x) for name, x in self.inputs.items()},
            reset_interval=self.interval,
            reset_offset=self.offset,
        )

    def expected(self):
        """What the slow reference computes, as `run_lava` returns it."""
        traces = reference(
            self.program,
            {name: x[:, None] for name, x in self.inputs.items()},
            steps=self.steps,
            batch=1,
            interval=self.interval,
            offset=self.offset,
        )
        return {
            f"{key}{k}": train_to_lava(getattr(trace, key)[:, 0])
            for k, trace in enumerate(traces.values())
            for key in "suv"
        }

    def twin(self):
        """What the twin computes, as `run_lava` returns it."""
        clock = LavaClock(steps=self.steps, reset_interval=self.interval, reset_offset=self.offset)
        inputs = {name: torch.from_numpy(x)[:, None] for name, x in self.inputs.items()}
        run = Twin(self.program).run(inputs, clock, record=True)
        found = {}
        for k, p in enumerate(self.program.populations):
            registers = run.registers[p.name]
            for key, train in (("s", run.spikes[p.name]), ("u", registers.u), ("v", registers.v)):
                found[f"{key}{k}"] = train_to_lava(train[:, 0].numpy())
        return found


def assert_equal_traces(found, expected):
    assert sorted(found) == sorted(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)


def events(rng, *shape, share=0.5):
    return (rng.random(shape) < share).astype(np.int64)


def two_sources(rng):
    """A map and a vector into one population, and their neurons into another twice."""
    program = Program(
        sources=(
            Source(name="image", shape=(2, 4, 3), low=-9, high=9, message_bits=5),
            Source(name="side", shape=(5,)),
        ),
        populations=(
            Population(name="both", shape=(6,), du=300, dv=100, vth=40, bias=ramp(6)),
            Population(name="twice", shape=(4,), dv=7, vth=9, phase=1),
        ),
        synapses=(
            Synapse(source="image", target="both", weight=ramp(6, 24)),
            Synapse(source="side", target="both", weight=ramp(6, 5, modulus=7)),
            Synapse(source="both", target="twice", weight=ramp(4, 6)),
            Synapse(source="both", target="twice", weight=ramp(4, 6, modulus=5, low=0)),
        ),
        outputs=("both", "twice"),
    )
    inputs = {"image": rng.integers(-9, 10, (12, 2, 4, 3)), "side": events(rng, 12, 5)}
    return Setting(program=program, inputs=inputs, steps=12)


def delayed(rng):
    """Delays: none and one a weight side by side; a convolution's of payloads beyond 24 bits."""
    conv = ramp(3, 1, 2, 2)
    program = Program(
        sources=(
            Source(name="image", shape=(3, 4, 4), low=-(2**24), high=3 * 2**23, message_bits=27),
        ),
        populations=(
            Population(name="a", shape=(3, 3, 3), dv=50, vth=12),
            Population(name="b", shape=(4,), du=2000, dv=10, vth=15, phase=3),
        ),
        synapses=(
            Synapse(source="image", target="a", weight=conv, groups=3),
            Synapse(source="image", target="a", weight=conv[::-1].copy(), groups=3, delay=2),
            Synapse(source="a", target="b", weight=ramp(4, 27), delay=ramp(4, 27, low=0)),
            Synapse(source="a", target="b", weight=ramp(4, 27, modulus=5), delay=1),
        ),
        outputs=("b",),
    )
    image = rng.integers(-5, 8, (16, 3, 4, 4))
    image[::3, 0, 1, 1], image[1::3, 1, 2, 2], image[2::3, 2] = 3 * 2**23, -(2**24), 2**23
    return Setting(program=program, inputs={"image": image}, steps=16, interval=7, offset=2)


def levelled_skip(rng):
    """A shortcut through a relay, cleared at every population's own phase."""
    program = classifier()
    image = rng.integers(-120, 201, (3, 2, 4, 4))
    steps = 3 * 6 + 3
    train = np.zeros((steps, 2, 4, 4), np.int64)
    train[:18] = np.repeat(image, 6, axis=0)
    return Setting(program=program, inputs={"image": train}, steps=steps, interval=6, offset=1)


def recurrent(rng):
    """A vector that feeds itself, a map that feeds itself, and a loop through both."""
    program = Program(
        sources=(Source(name="image", shape=(2, 3, 3)),),
        populations=(
            Population(name="map", shape=(2, 3, 3), dv=400, vth=8, bias=ramp(2, 1, 1)),
            Population(name="vector", shape=(4,), du=1000, dv=1, vth=20, phase=1),
        ),
        synapses=(
            Synapse(source="image", target="map", weight=ramp(2, 2, 3, 3), padding=(1, 1)),
            Synapse(source="map", target="map", weight=ramp(2, 2, 1, 1), delay=1),
            Synapse(source="map", target="vector", weight=ramp(4, 18)),
            Synapse(source="vector", target="vector", weight=ramp(4, 4, low=-9), delay=2),
            Synapse(source="vector", target="vector", weight=ramp(4, 4, modulus=3, low=-1)),
        ),
        outputs=("vector",),
    )
    return Setting(program=program, inputs={"image": events(rng, 20, 2, 3, 3)}, steps=20)


def one_signed(rng):
    """Dense matrices of one sign, of zeros, at the ends of their range, and shifted sums."""
    names = ("positive", "negative", "mixed", "shifted", "zero")
    weights = (
        ramp(3, 4, modulus=256, low=244),
        -ramp(3, 4, modulus=256, low=244),
        np.array([[-256, 255, 0, 1]] * 3, np.int32),
        ramp(3, 4, low=-7),
        np.zeros((3, 4), np.int32),
    )
    program = Program(
        sources=(Source(name="x", shape=(4,), low=-90, high=90, message_bits=8),),
        populations=tuple(Population(name=n, shape=(3,), dv=9, vth=900) for n in names),
        synapses=tuple(
            Synapse(source="x", target=n, weight=w, shift=3 * (n == "shifted"))
            for n, w in zip(names, weights, strict=True)
        ),
        outputs=names,
    )
    return Setting(program=program, inputs={"x": rng.integers(-90, 91, (9, 4))}, steps=9)


def driven_by_bias(rng):
    """No source at all, resets without an offset."""
    program = Program(
        sources=(),
        populations=(
            Population(name="in", shape=(1, 2, 2), vth=70, bias=rng.integers(1, 60, (1, 2, 2))),
            Population(name="out", shape=(3,), dv=33, vth=9, phase=1),
        ),
        synapses=(Synapse(source="in", target="out", weight=ramp(3, 4)),),
        outputs=("out",),
    )
    return Setting(program=program, inputs={}, steps=15, interval=5)


SETTINGS = {
    make.__name__: make
    for make in (two_sources, delayed, levelled_skip, recurrent, one_signed, driven_by_bias)
}


def settings():
    """Every one of them, with the same draws each time."""
    return {name: make(np.random.default_rng(1)) for name, make in SETTINGS.items()}
