"""Toy models whose robust accuracy is known, and samples with known margins.

An image has two rows of 64 pixels, all of one level a row. The float toy looks at row 0 only, the
hardware toy at row 1 only: each answers class 1 where its row's mean lies above 127.5 levels. A
sample of margin m levels is therefore right when m > 0, and robust in a ball of 8 levels when
m > 8. What is crafted on one toy moves the other row by random starts at most, and their mean over
64 pixels moves by 0.6 levels.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from spikeproof.attacks.target import Target
from spikeproof.audit.config import AuditConfig
from spikeproof.audit.plan import Plan
from spikeproof.audit.samples import Samples
from spikeproof.audit.validate import AuditResult, run

PIXELS = 64
WRONG, WEAK, SOUND = -4.5, 4.5, 20.5
MARGINS = (
    *[(SOUND, SOUND)] * 12,
    *[(SOUND, WEAK)] * 6,
    *[(WEAK, SOUND)] * 2,
    *[(WEAK, WEAK)] * 4,
    *[(WRONG, SOUND)] * 2,
    *[(SOUND, WRONG)] * 3,
    *[(WRONG, WRONG)] * 1,
)
"""Of row 0 and of row 1, 30 samples."""


@dataclass(frozen=True)
class RowToy:
    """Logits 0 and a tenth of the mean of levels − 127.5; `masked` hides where they come from.

    A `deceptive` one points the wrong way wherever a row is not of one level, as it is at a start.
    """

    row: int
    name: str
    masked: bool = False
    deceptive: bool = False
    estimator: str = "exact"
    estimators: tuple[str, ...] = ("exact", "blind")
    calls: list[int] = field(default_factory=list)

    def __call__(self, x: Tensor) -> Tensor:
        self.calls.append(len(x))
        if self.masked or self.estimator == "blind":
            x = x.detach() + 0.0 * x
        if self.deceptive:
            is_flat = (x == x[..., :1]).flatten(1).all(dim=1).to(x)[:, None, None, None]
            toward = x * (2 * is_flat - 1)
            x = x.detach() + toward - toward.detach()
        # A tenth: cross entropy of large logits has no gradient left in float32.
        score = (255 * x[:, 0, self.row] - 127.5).mean(dim=1) / 10
        return torch.stack([torch.zeros_like(score), score], dim=1)

    def using(self, estimator: str) -> "RowToy":
        assert estimator in self.estimators
        return replace(self, estimator=estimator)


def images_of(margins: tuple[tuple[float, float], ...]) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, 1, 2, 64] and labels; classes alternate."""
    labels = np.arange(len(margins), dtype=np.int64) % 2
    signs = np.where(labels == 1, 1.0, -1.0)[:, None]
    levels = (127.5 + signs * np.array(margins)).astype(np.uint8)
    images = np.repeat(levels[:, None, :, None], PIXELS, axis=3)
    return np.ascontiguousarray(images), labels


@pytest.fixture
def float_toy() -> RowToy:
    return RowToy(0, "float toy")


@pytest.fixture
def chip_toy() -> RowToy:
    return RowToy(1, "chip toy")


@pytest.fixture
def samples() -> Samples:
    images, labels = images_of(MARGINS)
    return Samples(images=images, labels=labels, keys=np.arange(len(labels), dtype=np.int64))


@pytest.fixture
def audited(tmp_path: Path, samples: Samples) -> Callable[..., AuditResult]:
    """Runs an audit of two toys; `config` holds what differs from a small default one."""

    def audit(float_target: Target, chip_target: Target, **options: Any) -> AuditResult:
        own = {
            name: options.pop(name)
            for name in ("images", "labels", "out", "context", "resume", "rates")
            if name in options
        }
        defaults = {"batch_size": 32, "curve": (0, 8, 255), "continuous": False}
        plan = Plan.of(
            AuditConfig(**{**defaults, **options}),
            float_target=float_target,
            hardware_target=chip_target,
            images=own.pop("images", samples.images),
            labels=own.pop("labels", samples.labels),
        )
        return run(plan, **{"out": tmp_path / "audit.json", "context": {"network": "toys"}, **own})

    return audit


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A finished audit of the two toys, with spike rates."""
    images, labels = images_of(MARGINS)
    rates = {"conv1": 0.125, "relay": 0.25}
    result = run(
        Plan.of(
            AuditConfig(batch_size=16, curve=(0, 4, 8, 16, 64, 255)),
            float_target=RowToy(0, "float toy"),
            hardware_target=RowToy(1, "chip toy"),
            images=images,
            labels=labels,
        ),
        out=tmp_path_factory.mktemp("finished") / "audit.json",
        context={"network": "toys", "bundle": {"model.net": "ab" * 32}},
        rates={"float": lambda x: {"conv1": 0.1875}, "hardware": lambda x: rates},
    )
    return result.audit
