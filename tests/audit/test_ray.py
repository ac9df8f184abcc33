"""Shards on a Ray cluster of two workers; one of them is killed."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from spikeproof.attacks.target import FunctionTarget
from spikeproof.audit.config import AuditConfig
from spikeproof.audit.plan import Plan
from spikeproof.audit.validate import run

OPTIONS = {"batch_size": 8, "curve": (0, 8), "estimators": ("exact",), "restarts": 8}


@pytest.fixture
def cluster():
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        pytest.skip(f"NOT TESTED: expected Ray, got {error}; pip install 'spikeproof[scale]'")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


def kill_one_worker(killed):
    """Ends the first process that works on a shard, once it has worked for a while."""
    while not killed:
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                is_working = entry.read_bytes().startswith(b"ray::_measured")
            except OSError:
                continue
            if is_working:
                time.sleep(1.0)
                os.kill(int(entry.parent.name), signal.SIGKILL)
                killed.append(entry.parent.name)
                return
        time.sleep(0.1)


def audit(engine, shards, out, target):
    images = np.random.default_rng(0).integers(0, 256, (48, 1, 8, 8), dtype=np.uint8)
    return run(
        Plan.of(
            AuditConfig(**OPTIONS, engine=engine, shards=shards),
            float_target=target,
            hardware_target=target,
            images=images,
            labels=np.arange(48, dtype=np.int64) % 3,
        ),
        out=out,
        context={},
    )


@pytest.mark.slow
def test_a_lost_worker_changes_no_row(cluster, tmp_path):
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(1, 8, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(288, 3)
    target = FunctionTarget(torch.nn.Sequential(*layers).eval(), name="conv")
    alone = audit("local", 1, tmp_path / "alone.json", target)
    killed = []
    threading.Thread(target=kill_one_worker, args=(killed,), daemon=True).start()
    spread = audit("ray", 4, tmp_path / "spread.json", target)
    assert killed, "a worker was to be lost"
    assert spread.samples.read_bytes() == alone.samples.read_bytes()
    assert spread.audit == alone.audit
