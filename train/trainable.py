"""What the training loop trains: a spiking network, or the integers of a chip."""

from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn


@runtime_checkable
class Described(Protocol):
    """What the loop has to know of a network's shape; `NetworkConfig` has it."""

    @property
    def mean(self) -> tuple[int, ...]:
        """Lattice mean of each channel."""
        ...

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Of an image, or of a stack of frames."""
        ...

    @property
    def classes(self) -> int:
        """K."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        ...


Config = TypeVar("Config", bound=Described)


class Trainable(nn.Module, Generic[Config]):
    """Images or stacks of frames [N, C, H, W] in [0, 1] to logits [N, K].

    Its state is all that training changes, so that a file of it is a checkpoint.
    """

    config: Config

    def first_broken(self, images: Float[Tensor, "N C H W"]) -> str:
        """Where a parameter, a statistic or an output is not finite, of a diverged network."""
        del images
        for name, tensor in self.state_dict().items():
            if not bool(torch.isfinite(tensor).all()):
                return name
        return "no parameter, so in the gradient"
