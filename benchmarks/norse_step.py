"""The training step of SR* as one would write it with Norse: what bench_train_step compares with.

The objective and the network are those of spikeproof, computed in the straightforward way: every
layer at every step, neurons in a loop over steps by Norse's step function, nothing frozen.
"""

import torch
import torch.nn.functional as F
from peers import norse
from torch import Tensor, nn

from spikeproof.train.config import TrainConfig
from spikeproof.train.network import SpikingNetwork
from spikeproof.train.spiking import Spiking


class NorseNetwork(nn.Module):
    """The layers of a network, shared with it, every one of them at every step."""

    def __init__(self, network: SpikingNetwork) -> None:
        super().__init__()
        self.layers, self.steps = network.layers, network.config.steps
        self.mean, self.std = network.mean.float(), network.std.float()
        self.neurons = norse()

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images in [0, 1]."""
        frame = (255 * x - self.mean) / (255 * self.std)
        output = frame.expand(self.steps, *frame.shape)
        for layer in self.layers:
            if isinstance(layer, Spiking):
                output = self.neurons(output)
            else:
                output = layer(output.flatten(0, 1)).unflatten(0, output.shape[:2])
        return output.mean(0)


class NorseStep:
    """A step of SR* on such a network.

    Args:
        network: Its parameters are trained.
        config: Attack, penalty and SGD.
    """

    def __init__(self, network: SpikingNetwork, config: TrainConfig) -> None:
        self.network, self.config = NorseNetwork(network), config
        self.optimizer = torch.optim.SGD(
            network.parameters(),
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )

    def attack(self, images: Tensor, labels: Tensor, draws: torch.Generator) -> Tensor:
        """PGD in evaluation mode."""
        config = self.config
        self.network.eval()
        start = (2 * torch.rand(images.shape, generator=draws) - 1) * config.epsilon
        x = (images + start).clamp(0, 1)
        for _ in range(config.attack_steps):
            x = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(
                F.cross_entropy(self.network(x), labels, reduction="sum"), x
            )
            moved = x.detach() + config.attack_step_size * slope.sign()
            low, high = images - config.epsilon, images + config.epsilon
            x = torch.minimum(torch.maximum(moved, low), high).clamp(0, 1)
        self.network.train()
        return x.detach()

    def loss(self, x: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy, plus the squared slope of the margin along its gradient's sign."""
        x = x.requires_grad_()
        logits = self.network(x)
        rivals = logits.detach().scatter(1, labels[:, None], -torch.inf).argmax(1)
        near = _margin(logits, labels, rivals)
        (slope,) = torch.autograd.grad(near.sum(), x, retain_graph=True)
        moved = (x + self.config.penalty_step * slope.sign()).detach()
        far = _margin(self.network(moved), labels, rivals)
        penalty = ((far - near) / self.config.penalty_step).square().mean()
        return F.cross_entropy(logits, labels) + self.config.penalty_weight * penalty

    def __call__(self, images: Tensor, labels: Tensor, draws: torch.Generator) -> Tensor:
        """Makes the step and returns its loss."""
        loss = self.loss(self.attack(images, labels, draws), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def _margin(logits: Tensor, labels: Tensor, rivals: Tensor) -> Tensor:
    own, other = (logits.gather(1, index[:, None])[:, 0] for index in (labels, rivals))
    return torch.sigmoid(own - other)
