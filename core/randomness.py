"""Randomness that belongs to a purpose, not to a position in a batch."""

import hashlib
import operator
from typing import SupportsIndex

import numpy as np


def generator(seed: int, *purpose: SupportsIndex | str) -> np.random.Generator:
    """A generator that depends only on the seed and on what it is for.

    `generator(0, "pgd10", "triangle", restart, sample)` gives a sample the same draws in any
    batch, order or shard. Integers of any size and sign are taken, NumPy's included.
    """
    # Hashed, because SeedSequence takes [0, 7] and [0, 7, 0] for the same, and [2**32] for [0, 1].
    parts = [part if isinstance(part, str) else operator.index(part) for part in (seed, *purpose)]
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))
