"""The stations of the demo: a network is trained, deployed, compared with Lava and audited."""

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..core.errors import NotEqualError
from ..sim.oracle.cleanup import signal_on_orphaned

if TYPE_CHECKING:
    from ..audit.validate import AuditResult
    from ..datasets.images import ImageData

DATA = "digits"
EPSILON = 0.1
"""25 of 255 levels; chosen before any result was seen, because digits have 17 grey levels and
smaller balls leave every network right."""
PARITY_SAMPLES = 12
"""Clean ones, and as many adversarial ones."""
SAMPLES = 240
BATCH = 120
CURVE = (0, 5, 12, 25, 64, 128, 255)
CURVE_SAMPLES = 60


@dataclass(frozen=True, kw_only=True)
class Stations:
    """One network on its way through the demo.

    Args:
        method: How it is trained, a name of `train.methods`.
        label: What tables call it.
        folder: Where all of it goes.
        seed: Of every random draw.
        device: Where it trains and is attacked.
    """

    method: str
    label: str
    folder: Path
    seed: int
    device: str

    @property
    def bundle(self) -> Path:
        """Where the chip's integers go."""
        return self.folder / "bundle"

    def run(self, *, caller: int) -> dict[str, Any]:
        """The whole way, in a process of its own; a line on stderr after each station.

        Args:
            caller: The process that waits for it: this one ends with it.
        """
        from ..datasets.images import load

        if sys.platform == "linux" and os.getpid() != caller:
            signal_on_orphaned(signal.SIGKILL, parent=caller)
        data = load(DATA)
        self._train(data)
        self._say("trained")
        self._deploy(data)
        self._say("exported and deployed")
        checked = self._parity(data)
        self._say(checked["said"])
        audited = self._audit(data)
        self._say(f"audited {audited.audit['n']} samples")
        return {"label": self.label, "parity": checked, "audit": audited.audit}

    def _say(self, done: str) -> None:
        typer.echo(f"{self.label:8} {done}", err=True)

    def _train(self, data: "ImageData") -> None:
        """Trains, or takes what an earlier demo with the same options has finished."""
        from ..train.config import change
        from ..train.loop import run
        from ..train.presets import preset

        recipe = change(preset(f"{DATA}-{self.method}"), {"seed": self.seed})
        folder = self.folder / "checkpoint"
        run(
            recipe.train,
            recipe.network.network(data),
            data,
            folder,
            device=self.device,
            resume=(folder / "config.json").exists(),
        )

    def _deploy(self, data: "ImageData") -> None:
        import torch

        from ..deploy.deployment import DeployConfig, run
        from ..deploy.scale import SearchConfig
        from ..export.verify import export_network
        from ..train.checkpoint import load
        from .deploy import held_out

        model = self.folder / "model.nir"
        trained = load(self.folder / "checkpoint")
        images = torch.from_numpy(data.train_images[:64])
        export_network(trained, model, images=images, classes=data.classes)
        search = SearchConfig(epsilon=EPSILON, seed=self.seed)
        run(
            DeployConfig(seed=self.seed, search=search),
            model,
            self.bundle,
            calibration=held_out(DATA, seed=self.seed),
        )

    def _parity(self, data: "ImageData") -> dict[str, Any]:
        """Twin against Lava on clean and adversarial test images."""
        import numpy as np
        import torch

        from ..attacks.lattice import LEVELS, ThreatModel
        from ..attacks.pgd import PGD
        from ..deploy.bundle import read_bundle
        from ..deploy.parity import check_parity
        from ..sim.classifier import TwinClassifier
        from ..sim.gradients.estimators import TRAINING
        from ..sim.oracle.run import lava_status

        if not lava_status().available:
            return {"said": "parity NOT checked: Lava is not installed", "report": None}
        bundle = read_bundle(self.bundle)
        clean = data.test_images[:PARITY_SAMPLES]
        attempt = PGD(name="parity", steps=10, estimator=TRAINING)(
            TwinClassifier(bundle.program),
            torch.from_numpy(clean).to(torch.float32) / LEVELS,
            torch.from_numpy(data.test_labels[:PARITY_SAMPLES]),
            threat=ThreatModel(epsilon=EPSILON),
            keys=torch.arange(PARITY_SAMPLES),
            seed=self.seed,
        )
        adversarial = (attempt.images * LEVELS).round().to(torch.uint8).numpy()
        report = check_parity(bundle, np.concatenate([clean, adversarial]))
        if not report.is_equal:
            raise NotEqualError(f"expected the twin to equal Lava, got {report.first}; report this")
        said = (
            f"parity with Lava on {report.samples} samples (half of them adversarial): "
            f"{report.differences} of {report.values} values differ, {report.spikes} spikes"
        )
        return {"said": said, "report": report.to_json()}

    def _audit(self, data: "ImageData") -> "AuditResult":
        from ..audit.config import AuditConfig
        from ..audit.deployed import data_context, load_deployed
        from ..audit.plan import Plan
        from ..audit.report.render import render
        from ..audit.validate import parts_of, run
        from ..core.files import write_text

        deployed = load_deployed(self.folder / "checkpoint", self.bundle, device=self.device)
        out = self.folder / "audit.json"
        result = run(
            Plan.of(
                AuditConfig(
                    suite="quick",
                    epsilon=EPSILON,
                    seed=self.seed,
                    samples=SAMPLES,
                    batch_size=BATCH,
                    curve=CURVE,
                    curve_samples=CURVE_SAMPLES,
                ),
                float_target=deployed.float_target,
                hardware_target=deployed.hardware_target,
                images=data.test_images,
                labels=data.test_labels,
                device=self.device,
            ),
            out=out,
            context={**deployed.context, **data_context(data), "method": self.label},
            rates=deployed.rates,
            resume=parts_of(out).exists(),
        )
        write_text(self.folder / "report.html", render(result.audit))
        return result
