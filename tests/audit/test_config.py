import pytest

from spikeproof.audit.config import AuditConfig
from spikeproof.core.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"suite": "hard"},
            "expected a suite among quick, paper, paper-frames, full, .*, got 'hard'",
        ),
        ({"norm": "l3"}, "expected a norm among linf, l2, l1, l0, got 'l3'"),
        ({"norm": "l0", "epsilon": 1.5}, "expected a whole number of pixels .* got 1.5"),
        (
            {"norm": "l2", "suite": "paper"},
            "expected the norm linf for the suite 'paper', which is as published, got 'l2'",
        ),
        ({"norm": "l0", "suite": "events", "epsilon": 2.0}, "got 'events' without; choose quick"),
        ({"lattice": False}, "a chip takes 8-bit images only"),
        ({"epsilon": 8.0}, r"expected epsilon in 0\.\.1, got 8\.0"),
        ({"epsilon": 0.001}, "no pixel could change"),
        ({"samples": 0}, "expected samples of 1 or more, got 0"),
        ({"restarts": 0}, "expected restarts of 1 or more, got 0"),
        ({"batch_size": 0}, "expected batch_size of 1 or more, got 0"),
        ({"curve_samples": 0}, "expected curve_samples of 1 or more, got 0"),
        ({"seed": -1}, "expected a seed of 0 or more, got -1"),
        ({"estimators": ()}, "at least one estimator, got none"),
        ({"curve": ()}, r"rising levels in 0\.\.255, got \[\]"),
        ({"curve": (0, 8, 8)}, r"rising levels in 0\.\.255, got \[0, 8, 8\]"),
        ({"curve": (0, 256)}, r"rising levels in 0\.\.255, got \[0, 256\]"),
        ({"shards": 0}, "expected shards of 1 or more, got 0"),
        ({"engine": "mpi"}, "expected an engine among local, ray, got 'mpi'"),
        ({"confidence": 1.0}, r"expected a confidence in 0\.5\.\.1, got 1\.0"),
    ],
)
def test_config_refuses(options, message):
    with pytest.raises(ConfigError, match=message):
        AuditConfig(**options)


def test_config_rounds_epsilon_down_to_the_lattice():
    assert AuditConfig(epsilon=0.035).threat.radius == 8 / 255
    assert AuditConfig(epsilon=8 / 255).threat.levels == 8
