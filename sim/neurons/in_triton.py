"""The multi-step neuron as Triton programs, for CUDA devices: one launch a layer and direction.

Checked against `neuron_fused` in Triton's interpreter, which runs the same programs on a CPU; on a
device by the tests marked `gpu`.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ...core.errors import ConfigError, MissingAbilityError
from ..gradients.estimators import Estimator
from ..gradients.surrogate import ArcTangent, Sigmoid, Surrogate, Triangle
from .compiled import check_numbers

SHAPES: dict[type, str] = {Triangle: "triangle", Sigmoid: "sigmoid", ArcTangent: "arctan"}
"""What the programs can differentiate."""
BLOCK = 1024


class Triton:
    """Needs Triton, which CUDA builds of torch bring along, and tensors on a CUDA device."""

    def forward(
        self,
        x: Float[Tensor, "T M"],
        *,
        theta: float | Tensor,
        decay: float | Tensor,
        keeps: bool,
    ) -> tuple[Float[Tensor, "T M"], Float[Tensor, "T M"] | None]:
        """As `neuron.Kernel.forward`."""
        check_numbers("triton", theta, decay)
        x = _dense(x)
        spikes = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        history = torch.empty_like(spikes) if keeps else spikes
        _launch(
            "forward",
            (x, spikes, history),
            steps=len(x),
            stride=x.stride(0),
            THETA=theta,
            DECAY=decay,
            KEEPS=keeps,
        )
        return spikes, history if keeps else None

    def backward(
        self,
        grad: Float[Tensor, "T M"],
        h: Float[Tensor, "T M"],
        *,
        theta: float | Tensor,
        decay: float | Tensor,
        estimator: Estimator,
        overwrites: bool,
    ) -> Float[Tensor, "T M"]:
        """As `neuron.Kernel.backward`."""
        surrogate, grad = _surrogate(estimator), _dense(grad)
        out = h if overwrites else torch.empty_like(h)
        _launch(
            "backward",
            (grad[-1], h[-1], out[-1]),
            steps=len(h),
            stride=grad.stride(0),
            THETA=theta,
            DECAY=decay,
            SHAPE=SHAPES[type(surrogate.shape)],
            WIDTH=surrogate.shape.width,  # type: ignore[attr-defined]
            ATTACHED=surrogate.reset == "attached",
        )
        return out


def _launch(name: str, tensors: tuple[Tensor, ...], *, steps: int, **values: Any) -> None:
    programs, last = _programs(tensors[0].device), tensors[-1]
    size = last.shape[-1]
    if not size:
        return
    wide = programs.tl.float64 if last.dtype == torch.float64 else programs.tl.float32
    with torch.cuda.device_of(last):
        getattr(programs, name)[(-(-size // BLOCK),)](
            *tensors,
            size,
            STEPS=steps,
            WIDE=wide,
            BLOCK=BLOCK,
            enable_fp_fusion=False,  # λ·v + x in one rounding would be another spike
            **values,
        )


def _programs(device: torch.device) -> Any:
    try:
        from . import triton_kernels
    except ImportError as error:
        raise MissingAbilityError(
            f"expected Triton for the neuron kernel 'triton', got {error}; install a CUDA build of "
            "torch, or use the kernel 'fused'"
        ) from error
    if device.type != "cuda" and not triton_kernels.triton.knobs.runtime.interpret:
        raise MissingAbilityError(
            f"expected a CUDA device for the neuron kernel 'triton', got {device}; use the kernel "
            "'fused'"
        )
    return triton_kernels


def _surrogate(estimator: Estimator) -> Surrogate:
    if isinstance(estimator, Surrogate) and type(estimator.shape) in SHAPES:
        return estimator
    raise ConfigError(
        f"expected a surrogate ({', '.join(SHAPES.values())}) for the neuron kernel 'triton', got "
        f"{estimator.name!r}; use the kernel 'fused'"
    )


def _dense(rows: Tensor) -> Tensor:
    """Neurons next to each other; steps may share their memory."""
    return rows if rows.stride(1) == 1 or rows.shape[1] == 1 else rows.contiguous()
