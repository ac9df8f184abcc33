"""A spiking network for images or frames of events: encoding, layers, read-out."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import cast

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from ..core.axes import stacks_to_train
from ..core.errors import DataError
from ..sim.gradients.estimators import Estimator, estimator
from ..sim.neurons.neuron import kernel
from .architectures import build
from .network_config import NetworkConfig
from .pooling import pooled
from .spiking import Spiking
from .trainable import Trainable
from .wiring import INPUT, Mixture, sources_of

__all__ = ["NetworkConfig", "SpikingNetwork"]

LATTICE = 255
"""Input 1.0 in lattice steps."""

READOUTS: dict[str, Callable[[Tensor, int], Tensor]] = {"membrane": torch.mean, "spikes": torch.sum}
"""What becomes of the last layer's output over the steps."""


def payloads(
    config: NetworkConfig, samples: Shaped[Tensor, "N channels H W"]
) -> Shaped[Tensor, "*T N C H W"]:
    """What a data set's samples are to the network's graph: images, or trains [T, N, C, H, W]."""
    return samples if config.encoding == "direct" else stacks_to_train(samples, config.steps)


class SpikingNetwork(Trainable[NetworkConfig]):
    """Images or frames in, logits out, T steps of spikes in between.

        i_t = (255·x − mean) / (255·std) at every step, or x_t / std for frames
        logits = mean over T of the last layer (`membrane`), or its sum (`spikes`)

    What comes before the first neurons is the same at every step and is computed once. `layers`
    holds only `Conv2d`, `BatchNorm2d`, `Spiking`, `AvgPool2d`, `Flatten` and `Linear`, named, in a
    row or, with `Mixture`, wired (`wiring.Wired`).

    Args:
        config: Its shape. Weights come from torch's global generator.

    Raises:
        ConfigError: If architecture and config do not fit.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = build(config)
        # Not saved with the weights: they are part of the config. float64 as there, whatever the
        # dtype of the images.
        for key, values in (("mean", config.mean), ("std", config.std)):
            buffer = torch.tensor(values, dtype=torch.float64).view(1, -1, 1, 1)
            self.register_buffer(key, buffer, persistent=False)

    def forward(self, x: Float[Tensor, "*T N C H W"]) -> Float[Tensor, "N K"]:
        """Logits of images [N, C, H, W] in [0, 1], or of frames.

        Frames are stacks [N, T·C, H, W] in [0, 1], as attacks move them, or trains [T, N, C, H, W]
        of payloads 0 to 255, as the chip takes them.

        Raises:
            DataError: If the input has another shape than the network's.
        """
        output = x
        for _, output in self.walk(x):  # noqa: B007
            pass
        return READOUTS[self.config.readout](output.to(x.dtype), 0)

    def walk(self, x: Float[Tensor, "*T N C H W"]) -> Iterator[tuple[str, Tensor]]:
        """Name and output of each layer: [T, N, ...], for images [N, ...] before any neurons."""
        sources = sources_of(self.layers)
        uses = Counter(source for name in sources for source in sources[name])
        alive = {INPUT: self._encode(x)}
        static = {INPUT} if self.config.encoding == "direct" else set[str]()
        for name, layer in self.layers.named_children():
            inputs = [alive[source] for source in sources[name]]
            is_static = static.issuperset(sources[name]) and not isinstance(layer, Spiking)
            output = alive[name] = self._apply_layer(layer, inputs, sources[name], static)
            static |= {name} if is_static else set()
            for source in sources[name]:
                uses[source] -= 1
                if not uses[source]:
                    del alive[source]
            yield name, output

    @torch.no_grad()
    def first_broken(self, images: Float[Tensor, "N C H W"]) -> str:
        """The first layer, in order, with a parameter, statistic or output that is not finite."""
        layers = dict(self.layers.named_children())
        # A neuron turns NaN into silence, so parameters are looked at before outputs.
        for layer, output in self.walk(images):
            for name, tensor in layers[layer].state_dict().items():
                if not bool(torch.isfinite(tensor).all()):
                    return f"{name} of layer {layer!r}"
            if not bool(torch.isfinite(output).all()):
                return f"output of layer {layer!r}"
        return "none in the forward pass, so in the gradient"

    def _encode(self, x: Tensor) -> Tensor:
        """The input current, at every step or, for images, of each of them."""
        config, std = self.config, self.std.to(x.dtype)
        is_direct = config.encoding == "direct"
        channels, *size = config.input_shape
        if not is_direct and x.ndim == 4 and x.shape[1:] == (config.steps * channels, *size):
            x = stacks_to_train(x * LATTICE, config.steps)
        before = x.shape[: -len(config.input_shape)]
        right = len(before) == 1 if is_direct else len(before) == 2 and before[0] == config.steps
        if not right or x.shape[len(before) :] != config.input_shape:
            raise DataError(
                f"expected {'images' if is_direct else f'stacks of {config.steps} frames'} "
                f"[N, {', '.join(map(str, config.sample_shape))}], got {list(x.shape)}; use the "
                "data set the network was made for"
            )
        return (x * LATTICE - self.mean.to(x.dtype)) / (LATTICE * std) if is_direct else x / std

    def _apply_layer(
        self, layer: nn.Module, inputs: list[Tensor], sources: tuple[str, ...], static: set[str]
    ) -> Tensor:
        """One layer's output: over all steps, or once where none of its inputs changes."""
        if isinstance(layer, Mixture):
            return layer(*inputs)
        (x,) = inputs
        if isinstance(layer, Spiking):
            return layer(self._at_every_step(x) if sources[0] in static else x)
        if sources[0] in static:
            return self._once(layer, x)
        flat = x.flatten(0, 1)
        output = pooled(layer, flat) if isinstance(layer, nn.AvgPool2d) else layer(flat)
        return output.unflatten(0, x.shape[:2])

    def set_estimator(self, how: str | Estimator) -> None:
        """Chooses how spikes are differentiated from now on; the forward pass stays the same.

        Raises:
            ConfigError: If there is no such estimator.
        """
        known = estimator(how) if isinstance(how, str) else how
        for layer in self.layers:
            if isinstance(layer, Spiking):
                layer.estimator = known

    def set_kernel(self, name: str) -> None:
        """Chooses what computes the neurons from now on; spikes and gradients stay the same.

        Raises:
            ConfigError: If there is no such kernel.
        """
        kernel(name)
        for layer in self.layers:
            if isinstance(layer, Spiking):
                layer.kernel_name = name

    @torch.no_grad()
    def rates(self, x: Float[Tensor, "*T N C H W"]) -> dict[str, float]:
        """Spikes per neuron and step of each layer of neurons, in the mode the network is in."""
        outputs = self.walk(x)
        spiking = {n for n, layer in self.layers.named_children() if isinstance(layer, Spiking)}
        return {name: spikes.mean().item() for name, spikes in outputs if name in spiking}

    def _at_every_step(self, x: Tensor) -> Tensor:
        return x.unsqueeze(0).expand(self.config.steps, *x.shape)

    def _once(self, layer: nn.Module, x: Tensor) -> Tensor:
        """One step's output of a layer whose input is the same at every step."""
        if not (isinstance(layer, nn.BatchNorm2d | nn.SyncBatchNorm) and layer.training):
            return layer(x)
        before = cast(Tensor, layer.running_var).clone()
        output = layer(x)
        # T equal frames are T times as many samples with the same mean and variance, so only the
        # factor n/(n − 1) of the running variance knows how often they were counted.
        count, steps = x.numel() // x.shape[1], self.config.steps
        if isinstance(layer, nn.SyncBatchNorm):
            count *= torch.distributed.get_world_size()
        factor = (steps * (count - 1)) / (steps * count - 1)
        # A new tensor: backward refuses a buffer that was changed in place after its use.
        after, share = cast(Tensor, layer.running_var), cast(float, layer.momentum)
        layer.running_var = after + (factor - 1.0) * (after - (1.0 - share) * before)
        return output
