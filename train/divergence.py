"""When training breaks: stop, and say where."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.errors import ConfigError
from .trainable import Trainable


def check_finite(
    losses: list[Float[Tensor, ""]],
    network: Trainable,
    images: Float[Tensor, "N C H W"],
    *,
    epoch: int,
    step: int,
) -> None:
    """Refuses to go on from losses that are not finite numbers.

    Args:
        losses: Of the steps since the last check.
        network: As it is now.
        images: The last batch, to look for the first layer that broke.
        epoch: From 1.
        step: Of the last loss, from 1.

    Raises:
        ConfigError: Naming epoch, step and layer.
    """
    bad = (~torch.isfinite(torch.stack(losses))).nonzero()
    if len(bad):
        first = int(bad[0])
        where = f"epoch {epoch}, step {step - len(losses) + 1 + first}"
        raise _error(f"loss {losses[first].item()} at {where}", network.first_broken(images))


def check_weights(
    network: Trainable, images: Float[Tensor, "N C H W"], *, epoch: int, step: int
) -> None:
    """Refuses to save parameters or statistics that are not finite.

    Raises:
        ConfigError: Naming epoch, step and layer.
    """
    values = network.state_dict().values()
    if not all(bool(torch.isfinite(tensor).all()) for tensor in values):
        where = f"weights at epoch {epoch}, step {step}"
        raise _error(where, network.first_broken(images))


def _error(what: str, where: str) -> ConfigError:
    return ConfigError(
        f"expected finite numbers in training, got {what} (first not finite: {where}); "
        "lower learning_rate"
    )
