"""One training in memory: network, optimizer and images on a device, epoch by epoch."""

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from lightning_fabric import Fabric
from torch import Tensor, nn

from ..core.progress import Task, Tracker
from ..core.randomness import generator
from ..core.record import versions
from ..core.transfer import send
from ..datasets.augment import augment, default_augmentation
from ..datasets.images import ImageData, Part, fingerprint, split
from . import run_folder
from .board import Board
from .config import MEMORY_FORMATS, TrainConfig
from .divergence import check_finite, check_weights
from .network import NetworkConfig, SpikingNetwork
from .objective import objective
from .run_folder import Progress
from .team import ALONE, Share, Team
from .trainable import Trainable
from .validation import accuracy, robust_accuracy

CHECK_EVERY = 50
"""Steps between looks at the loss on a GPU, which has to be waited for; a CPU looks at each."""


class Training:
    """A network, its optimizer and its images on the device of one process.

    All processes of a team draw the same random numbers for a whole batch, and each takes its own
    samples' share: a sample's crop and attack start do not depend on who sees it.

    Args:
        config: How to train.
        network: What to train, from the weights that it has.
        data: What to train on; every process holds all of it.
        fabric: Knows device and precision.
        team: The processes; each sees `batch_size` samples a step.
    """

    def __init__(
        self,
        config: TrainConfig,
        network: Trainable,
        data: ImageData,
        *,
        fabric: Fabric,
        team: Team = ALONE,
    ) -> None:
        self.config, self.fabric, self.team = config, fabric, team
        learn, validate = parts(data, config)
        self.images, self.labels = self._place(learn)
        self.validation = self._place(validate) if validate is not None else None
        self.network = network
        layout = MEMORY_FORMATS[config.memory_format]
        self.network.to(memory_format=layout)  # pyright: ignore[reportCallIssue]
        fabric.to_device(self.network)
        self.is_synchronised = team.world > 1 and fabric.device.type == "cuda"
        if self.is_synchronised:
            nn.SyncBatchNorm.convert_sync_batchnorm(self.network)
        # Fabric's wrapper would refuse the input gradients that attacks take, and DDP's expects one
        # forward pass a step: the network is called itself, and gradients are added up here.
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.objective = objective(config)
        self.augmentation = default_augmentation(data) if config.augment else None

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return math.ceil(len(self.images) / self.batch)

    @property
    def batch(self) -> int:
        """Samples of a step, over all processes."""
        return self.config.batch_size * self.team.world

    def record(self, data: ImageData, device: str) -> dict[str, Any]:
        """What `record.json` holds."""
        config, count = self.config, 0 if self.validation is None else len(self.validation[0])
        how = {
            "robust": f"accuracy under PGD{config.validation_steps} on the 8-bit lattice, "
            f"epsilon {config.validation_epsilon:.4g}",
            "clean": "clean accuracy",
        }[config.select_by]
        return {
            "versions": versions() | {"threads": str(torch.get_num_threads())},
            "seed": config.seed,
            "device": device,
            "processes": self.team.world,
            "data": {
                "name": data.name,
                "fingerprint": fingerprint(data),
                "simulated": data.is_simulated,
                **({"left_out": dict(data.left_out)} if data.left_out else {}),
            },
            "images": {"training": len(self.images), "validation": count},
            "best": f"last within a standard error of the highest {how}; on validation images"
            if count
            else "none: no validation",
        }

    def restore(self, folder: Path) -> Progress:
        """Takes up the last finished epoch of a folder, which only the first process reads."""
        progress, momentum = self.team.first(lambda: run_folder.load_epoch(folder, self.network))
        self.team.spread(self.network.state_dict().values())
        run_folder.restore_momentum(self.network, self.optimizer, momentum)
        return progress

    def finish(
        self, progress: Progress, folder: Path, *, tracker: Tracker, board: Board
    ) -> Progress:
        """Trains the epochs that are left."""
        with tracker.task("train", self.config.epochs * self.steps) as task:
            task.advance(progress.epochs * self.steps)
            for epoch in range(progress.epochs + 1, self.config.epochs + 1):
                progress = _extend(
                    progress,
                    self._epoch(epoch, task),
                    self.config.select_by,
                    count=0 if self.validation is None else len(self.validation[0]),
                )
                self.team.first(partial(self._keep, folder, progress, board))
        return progress

    def _keep(self, folder: Path, progress: Progress, board: Board) -> None:
        board.add(progress.metrics[-1])
        momentum = run_folder.momentum_of(self.network, self.optimizer)
        run_folder.save_epoch(folder, self.network, momentum, progress)

    def _epoch(self, epoch: int, task: Task) -> dict[str, Any]:
        begin = time.perf_counter()
        rate = self._set_learning_rate(epoch)
        loss = self._learn(epoch, task)
        clean, robust = self._validate(is_last=epoch == self.config.epochs)
        return {
            "epoch": epoch,
            "learning_rate": rate,
            "loss": loss,
            "validation_accuracy": clean,
            "validation_robust_accuracy": robust,
            "seconds": round(time.perf_counter() - begin, 3),
        }

    def _learn(self, epoch: int, task: Task) -> float:
        """One pass over the training images; returns the mean loss of its steps."""
        every = 1 if self.fabric.device.type == "cpu" else CHECK_EVERY
        draws = _torch_generator(self.config.seed, "attack", epoch)
        losses: list[Tensor] = []
        fresh: list[Tensor] = []
        self.network.train()
        for step, (x, labels, share) in enumerate(self._batches(epoch), start=1):
            fresh.append(self._step(x, labels, share, draws))
            note = ""
            if step % every == 0 or step == self.steps:
                self.team.add_up(fresh)
                check_finite(fresh, self.network, x, epoch=epoch, step=step)
                losses, fresh = losses + fresh, []
                note = f"epoch {epoch}/{self.config.epochs}, loss {losses[-1].item():.3f}"
            if step == self.steps:
                check_weights(self.network, x, epoch=epoch, step=step)
            task.advance(1, note)
        return torch.stack(losses).double().mean().item()

    def _step(self, x: Tensor, labels: Tensor, share: Share, draws: torch.Generator) -> Tensor:
        """One step of the optimizer; returns this process's part of the mean loss."""
        with self.fabric.autocast():
            loss = self.objective(self.network, x, labels, draws=draws, share=share) * share.weight
        self.optimizer.zero_grad()
        # Named, so that no gradient of the input images is computed.
        self.fabric.backward(loss, inputs=list(self.network.parameters()))
        self.team.add_up(p.grad for p in self.network.parameters() if p.grad is not None)
        self._share_statistics()
        self.optimizer.step()
        if self.objective.after_step is not None:
            self.objective.after_step(self.network, draws=draws)
        return loss.detach()

    def _share_statistics(self) -> None:
        """Gives all processes the mean of their batch norms' running statistics."""
        if self.team.world == 1 or self.is_synchronised:
            return
        norms = [m for m in self.network.modules() if isinstance(m, nn.BatchNorm2d)]
        running = [t for m in norms for t in (m.running_mean, m.running_var) if t is not None]
        for tensor in running:
            tensor.div_(self.team.world)
        self.team.add_up(running)

    def _batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor, Share]]:
        """This process's part of batches in an order that depends on seed and epoch only."""
        order = generator(self.config.seed, "order", epoch).permutation(len(self.images))
        draws = _torch_generator(self.config.seed, "augment", epoch)
        for chosen in torch.from_numpy(order).split(self.batch):
            index = send(chosen, self.fabric.device)
            x = self.images[index]
            if self.augmentation is not None:
                config = self.network.config
                mean = config.mean * (config.sample_shape[0] // len(config.mean))
                x = augment(x, mean=mean, config=self.augmentation, generator=draws)
            share = self.team.share(len(index))
            yield to_unit(share.of(x)), share.of(self.labels[index]), share

    @torch.no_grad()
    def _validate(self, *, is_last: bool) -> tuple[float | None, float | None]:
        """Clean and robust accuracy; the latter only where it decides, and at the end."""
        if self.validation is None:
            return None, None
        config, images = self.config, to_unit(self.validation[0])
        robust = None
        if config.select_by == "robust" or is_last:
            robust = robust_accuracy(
                self.network,
                images,
                self.validation[1],
                epsilon=config.validation_epsilon,
                steps=config.validation_steps,
                seed=config.seed,
                team=self.team,
            )
        return accuracy(self.network, images, self.validation[1], team=self.team), robust

    def _set_learning_rate(self, epoch: int) -> float:
        """Half a cosine from `learning_rate` to 0; Loshchilov and Hutter 2017, Eq. 5."""
        phase = math.pi * (epoch - 1) / self.config.epochs
        rate = 0.5 * self.config.learning_rate * (1.0 + math.cos(phase))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _place(self, part: Part) -> tuple[Tensor, Int64[Tensor, " N"]]:
        device = self.fabric.device
        return torch.from_numpy(part.images).to(device), torch.from_numpy(part.labels).to(device)


def parts(data: ImageData, config: TrainConfig) -> tuple[Part, Part | None]:
    """What a training learns from, and what it validates on; None for nothing."""
    if config.holdout == 0:
        everything = np.arange(len(data.train_labels))
        whole = Part(images=data.train_images, labels=data.train_labels, indices=everything)
        return whole, None
    learn, validate = split(data, seed=config.seed, holdout=config.holdout)
    few = slice(config.validation_limit)
    return learn, replace(
        validate,
        images=validate.images[few],
        labels=validate.labels[few],
        indices=validate.indices[few],
    )


def fresh(network: NetworkConfig, config: TrainConfig) -> SpikingNetwork:
    """A network with weights that depend on the seed only; torch's random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(_torch_seed(config.seed, "weights"))
        made = SpikingNetwork(network)
    made.set_kernel(config.neuron_kernel)
    return made


def to_unit(images: Tensor) -> Float[Tensor, "N C H W"]:
    """Levels of 255 as input units."""
    return images.to(torch.float32) / 255.0


def _extend(progress: Progress, entry: dict[str, Any], select_by: str, *, count: int) -> Progress:
    """Progress by one epoch; an epoch is best if within one standard error of the best before it.

    Validation sets are small: a strict maximum would pick an early, undertrained epoch by luck
    (the one-standard-error rule, Breiman et al. 1984).

    Args:
        progress: Before the epoch.
        entry: The epoch's metrics.
        select_by: Which accuracy decides.
        count: Validation images.
    """
    key = {"robust": "validation_robust_accuracy", "clean": "validation_accuracy"}[select_by]
    metrics, best = (*progress.metrics, entry), progress.best
    if entry[key] is not None:
        top = max(m[key] for m in metrics if m[key] is not None)
        if entry[key] >= top - math.sqrt(top * (1 - top) / count):
            best = entry
    return Progress(epochs=entry["epoch"], best=best, metrics=metrics)


def _torch_seed(seed: int, *purpose: int | str) -> int:
    return int(generator(seed, *purpose).integers(2**63 - 1))


def _torch_generator(seed: int, *purpose: int | str) -> torch.Generator:
    return torch.Generator().manual_seed(_torch_seed(seed, *purpose))
