"""What a slow loop computes of a program whose samples run back to back, as Lava runs them."""

import numpy as np

from spikeproof.core.axes import lava_to_train
from spikeproof.sim.classifier import TwinClassifier
from spikeproof.sim.parity import back_to_back
from spikeproof.tests.reference import reference


def on_lavas_clock(program, payload):
    """Spikes, u and v of every population, cut into a window a sample: `[T, N, ...]` by key, name.

    Args:
        program: May lack relays, which the twin would not see.
        payload: Of its input, `[t, N, ...]` of integers.
    """
    train, clock = back_to_back(program, payload.int().numpy())
    traces = reference(
        program,
        {"input": lava_to_train(train)[:, None].astype(np.int64)},
        steps=clock.steps,
        batch=1,
        interval=clock.reset_interval,
        offset=clock.reset_offset,
    )
    found = {}
    for p in program.populations:
        windows = [clock.window(p.phase, sample) for sample in range(payload.shape[1])]
        for key in "suv":
            trace = getattr(traces[p.name], key)
            found[key, p.name] = np.stack([trace[window, 0] for window in windows], axis=1)
    return found


def assert_twin_equals(expected, program, images):
    """Every spike, u and v of the twin are those of `on_lavas_clock`; images in 0 to 1."""
    run = TwinClassifier(program).run(images, record=True)
    for p in program.populations:
        found = run.spikes[p.name], run.registers[p.name].u, run.registers[p.name].v
        for key, values in zip("suv", found, strict=True):
            np.testing.assert_array_equal(
                values.numpy(), expected[key, p.name], err_msg=f"{key} of {p.name}"
            )
