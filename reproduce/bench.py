"""Where a target measures: one block's networks on both sides, by audits or single attacks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool

from ..attacks.attack import Attack
from ..attacks.lattice import LINF, ThreatModel
from ..attacks.target import Target
from ..audit.cascade import Cascade
from ..audit.config import AuditConfig
from ..audit.deployed import Deployed, cells_of, check_data, data_context
from ..audit.ledger import Ledger
from ..audit.plan import Plan
from ..audit.samples import Samples
from ..audit.sources import load_sources
from ..audit.statistics import wilson
from ..audit.validate import parts_of, run
from ..datasets.images import fingerprint
from ..train.config import Recipe
from ..train.presets import SOURCE_SEEDS
from .results import Number
from .scales import Block, Scale
from .store import Store, digest

SOURCE = "at"
"""How networks are trained that black-box attacks come from: as the presets `*-source-same`."""
SIDES = ("on_float", "on_chip")


@dataclass(frozen=True, kw_only=True, eq=False)
class Bench:
    """A block of a target, and what it may cost.

    Args:
        block: What is trained, on what.
        scale: What it may cost.
        store: Where trained networks lie.
        seed: Of trainings and attacks.
        shards: Into how many parts audits cut their samples.
        engine: Who works on them, a name of `audit.engines.ENGINES`.
    """

    block: Block
    scale: Scale
    store: Store
    seed: int = 0
    shards: int = 1
    engine: str = "local"

    def recipe(self, method: str, **changes: Any) -> Recipe:
        """The training of a method here."""
        return self.scale.recipe(self.block, method, seed=self.seed, **changes)

    def deployed(self, method: str, **changes: Any) -> Deployed:
        """A method's network and its chip, trained where that was not done yet."""
        return self.store.deployed(self.recipe(method, **changes))

    @property
    def epsilon(self) -> float:
        """Radius of the attacks: what networks of this data are validated at, of CIFAR 8/255."""
        return self.recipe("vanilla").train.validation_epsilon

    @property
    def samples(self) -> Samples:
        """The first test samples, as many as the scale asks for or there are."""
        data = self.store.data
        count = len(data.test_labels)
        wanted = count if self.scale.samples is None else min(count, self.scale.samples)
        return Samples.of(data.test_images, data.test_labels, wanted=wanted)

    def threat(self, epsilon: float, norm: str = LINF) -> ThreatModel:
        """The ball of a radius, for images or for frames."""
        cells = cells_of(self.recipe("vanilla").network.frames)
        return ThreatModel(epsilon=epsilon, norm=norm, cells=cells)

    def number(self, right: Bool[np.ndarray, " N"] | int) -> Number:
        """A share of the samples in percent, with its interval."""
        count = right if isinstance(right, int) else int(right.sum())
        found = wilson(count, len(self.samples))
        return Number(value=100 * found.value, low=100 * found.low, high=100 * found.high)

    def survivors(
        self,
        target: Target,
        attacks: Sequence[Attack],
        *,
        epsilon: float,
        norm: str = LINF,
        as_published: bool = True,
        from_all: bool = False,
    ) -> Bool[np.ndarray, " N"]:
        """Which samples are left by all attacks.

        Args:
            target: The model.
            attacks: In the order in which they meet what stands.
            epsilon: Radius of the ball.
            norm: Of the ball.
            as_published: Whether an attack counts as it is published, else at any visited point.
            from_all: Whether samples that are wrong clean may be repaired, as where a paper gives
                the accuracy on changed images; else they count as broken.
        """
        cascade = Cascade(
            target=target,
            samples=self.samples,
            threat=self.threat(epsilon, norm),
            batch_size=self.scale.batch,
            seed=self.seed,
            device=torch.device(self.store.device),
            as_published=as_published,
        )
        standing = np.ones(len(self.samples), dtype=bool) if from_all else self.clean(target)
        return cascade.survivors(attacks, standing)

    def clean(self, target: Target) -> Bool[np.ndarray, " N"]:
        """Which samples are right without an attack."""
        device = torch.device(self.store.device)
        return self.samples.right(target, size=self.scale.batch, device=device)

    def both(
        self, name: str, deployed: Deployed, asked: dict[str, Any], measure: Callable[[Target], Any]
    ) -> Iterator[tuple[str, Any]]:
        """Side and finding of what is measured on float network and chip, kept in the store.

        Args:
            name: What is measured.
            deployed: Both.
            asked: What decides it, beside networks, samples and seed.
            measure: Of one model, as JSON holds it.
        """
        marks = {key: deployed.context[key] for key in ("checkpoint_sha256", "bundle_sha256")}
        identity = {
            **marks,
            "data": fingerprint(self.store.data),
            "scale": asdict(self.scale),
            "seed": self.seed,
            "device": torch.device(self.store.device).type,
            **asked,
        }
        targets = (deployed.float_target, deployed.hardware_target)
        for side, target in zip(SIDES, targets, strict=True):
            yield (
                side,
                self.store.kept(
                    name, {**identity, "side": side}, lambda t=target: {"found": measure(t)}
                )["found"],
            )

    def audited(self, method: str, suite: str) -> Ledger:
        """Rows of an audit of a method's network, with attacks carried over from another network.

        That one is trained adversarially, with other weights and another order of the data.
        """
        deployed = self.deployed(method)
        checkpoint = self.store.trained(self.recipe(method))
        config = self._audit_config(suite)
        check_data(deployed, self.store.data, config)
        source = self.store.trained(
            self.scale.recipe(self.block, SOURCE, seed=self.seed + SOURCE_SEEDS["same"])
        )
        apart = load_sources([source], checkpoint, device=self.store.device)
        frames = deployed.network.config.frames
        context = {**deployed.context, **data_context(self.store.data, frames), **apart.context}
        plan = Plan.of(
            config,
            float_target=deployed.float_target,
            hardware_target=deployed.hardware_target,
            images=self.store.data.test_images,
            labels=self.store.data.test_labels,
            sources=apart.targets,
            device=self.store.device,
        )
        mark = digest(plan.identity(context))
        out = self.store.folder / "audits" / f"{checkpoint.name}-{mark}.json"
        resume = self.store.resume or parts_of(out).exists()
        return run(plan, out=out, context=context, resume=resume, tracker=self.store.tracker).ledger

    def _audit_config(self, suite: str) -> AuditConfig:
        return AuditConfig(
            suite=suite,
            samples=len(self.samples),
            epsilon=self.epsilon,
            continuous=False,
            seed=self.seed,
            batch_size=self.scale.batch,
            curve=self.scale.curve,
            shards=self.shards,
            engine=self.engine,
            cells=self.threat(self.epsilon).cells,
        )
