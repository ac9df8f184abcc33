"""A layer whose channels decay at different rates, as one population for each rate."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..export.linear_map import Conv, Dense

Part = tuple[str, np.ndarray]
"""A population, and the channels that it has of a node."""
Parts = Mapping[str, list[Part]]
"""The populations that stand for a node, by its name."""


def rows(linear: Dense | Conv, channels: np.ndarray) -> Dense | Conv:
    """The part of a map that leads to some channels of its target."""
    whole = linear.ungrouped() if isinstance(linear, Conv) else linear
    return replace(whole, weight=whole.weight[channels], after=(len(channels), *linear.after[1:]))


def columns(linear: Dense | Conv, channels: np.ndarray) -> Dense | Conv:
    """The part of a map that comes from some channels of its source."""
    before = (len(channels), *linear.before[1:])
    if isinstance(linear, Conv):
        whole = linear.ungrouped()
        return replace(whole, weight=whole.weight[:, channels], before=before)
    by_channel = linear.weight.reshape(len(linear.weight), linear.before[0], -1)
    weight = by_channel[:, channels].reshape(len(linear.weight), -1)
    return replace(linear, weight=weight, before=before)


def from_parts(source: str, linear: Dense | Conv, parts: Parts) -> list[tuple[str, Dense | Conv]]:
    """A map of a node as maps of the populations that stand for it."""
    if source not in parts:
        return [(source, linear)]
    return [(name, columns(linear, channels)) for name, channels in parts[source]]
