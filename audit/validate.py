"""The audit: attacks the float network and its chip, and writes down what is left."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ..core.errors import ConfigError
from ..core.files import check_writable, read_json, sha256, write_json
from ..core.progress import SILENT, Tracker
from ..core.record import versions
from .config import CURVE_ATTACK
from .examples import examples
from .journal import Journal, fingerprint, sealed, write_table
from .ledger import Ledger
from .plan import Plan
from .rates import RateMeter
from .remarks import left_out, remarks, uneven
from .schema import FORMAT, check
from .summary import summarize
from .verdict import MATCHES, verdict


@dataclass(frozen=True, kw_only=True)
class AuditResult:
    """A finished audit: its JSON, where it lies, and where the rows of every sample lie."""

    audit: dict[str, Any]
    path: Path
    samples: Path

    @property
    def ledger(self) -> Ledger:
        """The rows of every sample."""
        return Ledger(pq.read_table(self.samples))

    @property
    def verdict(self) -> str:
        """The verdict in plain words."""
        return verdict(self.audit)


def run(
    plan: Plan,
    *,
    out: Path,
    context: Mapping[str, Any],
    rates: Mapping[str, RateMeter] | None = None,
    resume: bool = False,
    tracker: Tracker = SILENT,
) -> AuditResult:
    """Audits two models.

    Args:
        plan: What to do, to which models, with which samples.
        out: Where audit.json goes; `.parquet` beside it holds every sample's results, and a folder
            `.parts` what an unfinished audit has done.
        context: Written into audit.json and part of its identity: names of network and data,
            hashes of both models and of the data. Weights are known by these hashes alone.
        rates: For "float" and "hardware", what measures spike rates of clean images.
        resume: Whether to go on with the parts of an earlier run of the same audit, or to return
            it where it is finished. Without it a finished audit is replaced.
        tracker: Shows progress.

    Raises:
        ConfigError: If there are results of another audit to resume, or parts and no `resume`, or
            a table that no audit stands beside, or a target lacks an estimator.
    """
    config, identity = plan.config, plan.identity(context)
    if resume and out.exists() and not parts_of(out).exists():
        return _finished(out, fingerprint(identity))
    journal = _journal(out, identity, resume=resume)
    ledger = plan.measure(journal, tracker)
    assert ledger is not None, "all shards were done"
    measured, asked = plan.rates(rates or {}), plan.chip_only()
    audit = {
        **_setup(plan),
        **summarize(
            config,
            ledger=ledger,
            curve=plan.curve(ledger),
            labels=plan.samples.labels,
            radius_at=plan.radius_at,
            sources=plan.sources,
            stages=plan.stages,
        ),
        "pursued_with": {side: list(names) for side, names in plan.rankings.items()},
        "examples": examples(config, ledger, plan.samples, plan.targets, device=plan.device),
        "rates": measured,
        **({} if asked is None else {"chip_only": asked}),
        "remarks": [*remarks(context, measured), *uneven(context, config), *left_out(config)],
        "context": dict(context),
        "versions": versions(),
        "fingerprint": fingerprint(identity),
    }
    samples = samples_of(out)
    write_table(samples, sealed(ledger.finished(), identity))
    audit["samples_sha256"] = sha256(samples)
    write_json(out, check(audit))
    journal.discard()
    return AuditResult(audit=audit, path=out, samples=samples)


def run_shard(
    plan: Plan,
    *,
    shard: int,
    out: Path,
    context: Mapping[str, Any],
    tracker: Tracker = SILENT,
) -> int:
    """Does one shard, beside other processes that do others; `run` with `resume` collects them.

    Args:
        plan: Of the whole audit.
        shard: Which one, from 0. If it was begun before, that is gone on with.
        out: Where `run` will write: the parts lie beside it.
        context: Of the whole audit.
        tracker: Shows progress.

    Returns:
        How many shards are still to be done.

    Raises:
        ConfigError: If there is no such shard, or what `run` raises.
    """
    shards = plan.config.shards
    if not 0 <= shard < shards:
        raise ConfigError(
            f"expected a shard in 0..{shards - 1}, got {shard}; count from 0, or raise "
            "the number of shards"
        )
    journal = _journal(out, plan.identity(context), resume=True)
    plan.measure(journal, tracker, only=shard)
    return len(plan.missing(journal))


def _journal(out: Path, identity: Mapping[str, Any], *, resume: bool) -> Journal:
    """The parts beside an output that can be written."""
    if out.suffix != ".json":
        raise ConfigError(f"expected an output that ends in .json, got {out}; name it audit.json")
    samples, parts = samples_of(out), parts_of(out)
    for path in (out, samples):  # before the parts, whose names nobody gave
        check_writable(path)
    if samples.exists() and not (out.exists() or parts.exists()):
        raise ConfigError(
            f"expected no {samples} without an audit beside it, got one; name another output, or "
            "move it away"
        )
    return Journal(parts, identity=identity, resume=resume)


def samples_of(out: Path) -> Path:
    """Where an audit keeps the rows of every sample."""
    return out.with_suffix(".parquet")


def parts_of(out: Path) -> Path:
    """The folder that an unfinished audit keeps beside its output."""
    return out.with_suffix(".parts")


def _setup(plan: Plan) -> dict[str, Any]:
    """What audit.json says of the question."""
    config = plan.config
    published = "as published: the last point, for APGD any visited one"
    return {
        "format": FORMAT,
        "matches": MATCHES,
        "n": len(plan.samples),
        "epsilon": config.threat.radius,
        "epsilon_requested": config.epsilon,
        "norm": config.norm,
        "lattice": config.lattice,
        "suite": config.suite,
        "rule": published if config.attacks.as_published else "any visited point",
        "restarts": config.restarts,
        "seed": config.seed,
        "confidence": config.confidence,
        "batch_size": config.batch_size,
        "device": plan.device.type,
        "targets": {side: target.name for side, target in plan.targets.items()},
        "curve_attack": f"{CURVE_ATTACK} (steps of 2.5·ε/10), any visited point, worst of the "
        "estimators",
    }


def _finished(out: Path, mark: str) -> AuditResult:
    """The audit at `out`, if it is this one.

    Raises:
        ConfigError: If it is another one.
        FormatError: If it is no audit.
    """
    audit = check(read_json(out))
    samples = samples_of(out)
    is_whole = samples.is_file() and sha256(samples) == audit["samples_sha256"]
    if audit["fingerprint"] != mark or not is_whole:
        raise ConfigError(
            f"expected a finished or unfinished run of the same audit at {out}, got another one; "
            "repeat its options, choose another output, or start anew without resuming"
        )
    return AuditResult(audit=audit, path=out, samples=samples)
