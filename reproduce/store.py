"""Networks that targets share: trained once, deployed once, under names that say how."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..audit.deployed import Deployed, load_deployed
from ..audit.plan import DECISIVE
from ..core.files import read_json, write_json
from ..core.progress import SILENT, Tracker
from ..core.record import versions
from ..datasets.images import ImageData, fingerprint
from ..datasets.spec import parse_spec
from ..deploy.bundle import SUMS
from ..deploy.calibration import held_out
from ..deploy.deployment import DeployConfig
from ..deploy.deployment import run as deploy
from ..deploy.scale import SearchConfig
from ..export.verify import export_network
from ..train.checkpoint import load
from ..train.config import Recipe
from ..train.loop import run as train
from ..train.network import payloads
from ..train.run_folder import CONFIG

NETWORKS, MODEL = "networks", "model.nir"
VERIFIED = 16
"""Training samples that an export is compared on."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Store:
    """A folder of trained and deployed networks, and of what was measured on them.

    Args:
        folder: `networks`, `audits` and `parts` go below it.
        data: What is trained on.
        spec: How it was named.
        device: Where is trained and measured.
        searched: Held-out samples that scales are searched on.
        resume: Whether what was measured before is taken. Trained networks always are.
        tracker: Where progress is reported.
        used: Names of the trainings that were asked for; filled in as they are.
    """

    folder: Path
    data: ImageData
    spec: str
    device: str = "cpu"
    searched: int = 128
    resume: bool = False
    tracker: Tracker = SILENT
    used: set[str] = field(default_factory=set)

    def trained(self, recipe: Recipe) -> Path:
        """The folder of a training; it is done, or gone on with, where it is not finished."""
        network = recipe.network.network(self.data)
        mark = digest(
            {
                "train": recipe.train.to_dict(),
                "network": network.to_dict(),
                "data": fingerprint(self.data),
            }
        )
        name = f"{recipe.train.method}-{network.architecture}-{mark}"
        folder = self.folder / NETWORKS / name
        self.used.add(name)
        train(
            recipe.train,
            network,
            self.data,
            folder,
            device=self.device,
            resume=(folder / CONFIG).exists(),
            tracker=self.tracker,
        )
        return folder

    def exported(self, recipe: Recipe) -> Path:
        """The NIR file of a training."""
        folder = self.trained(recipe)
        model = folder / MODEL
        if not model.is_file():
            network = load(folder)
            images = torch.from_numpy(self.data.train_images[:VERIFIED].copy())
            shown = payloads(network.config, images)
            export_network(network, model, images=shown, classes=self.data.classes)
        return model

    def bundle(self, recipe: Recipe) -> Path:
        """The chip's integers of a training, scales searched for its own radius."""
        model, config = self.exported(recipe), recipe.train
        bundle = model.parent / f"bundle-{self.searched}"
        if not (bundle / SUMS).is_file():
            search = SearchConfig(
                epsilon=config.validation_epsilon, samples=self.searched, seed=config.seed
            )
            deploy(
                DeployConfig(seed=config.seed, search=search),
                model,
                bundle,
                calibration=held_out(
                    self.data, where=self.spec, kind=parse_spec(self.spec).kind, seed=config.seed
                ),
                tracker=self.tracker,
            )
        return bundle

    def deployed(self, recipe: Recipe) -> Deployed:
        """The float network and its chip."""
        return load_deployed(self.trained(recipe), self.bundle(recipe), device=self.device)

    def kept(
        self, name: str, identity: Mapping[str, Any], compute: Callable[[], Any]
    ) -> dict[str, Any]:
        """What `compute` finds, as JSON, or what an earlier run found under the same identity.

        Args:
            name: What is measured, for the file's name.
            identity: What decides it, beside the versions of what computes.
            compute: Measures it.
        """
        known = versions()
        identity = {**identity, "versions": {key: known.get(key) for key in DECISIVE}}
        path = self.folder / "parts" / f"{name}-{digest(identity)}.json"
        if self.resume and path.is_file():
            kept = read_json(path)
            if kept["identity"] == json.loads(json.dumps(identity)):
                return kept["found"]
        found = compute()
        write_json(path, {"identity": identity, "found": found})
        return found


def digest(identity: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits that tell identities apart."""
    text = json.dumps(identity, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
