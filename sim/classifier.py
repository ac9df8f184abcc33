"""A deployed classifier: images or frames in, logits out, computed by the chip's integers."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.axes import stacks_to_train
from ..core.errors import DataError, FormatError
from .clock import Window
from .gradients.estimators import ESTIMATORS, Estimator, estimator
from .gradients.whole_train import begin_pass
from .interface import Encoding, Readout
from .learnt import Learnt
from .program import Program, Source
from .twin import Run, Twin, Wire

LEVELS = 255


class TwinClassifier:
    """The integer twin behind its encoder and its read-out.

    It takes images, or stacks of T frames `[N, T·C, H, W]`, as the program's encoding says.

    Forward is the chip's arithmetic to the last bit; backward runs through the de-quantised
    network with the chosen estimator, straight through the rounding to the uint8 lattice.

    Args:
        program: A program with one source, an encoding and a read-out.
        device: Where to compute.
        using: Name of the gradient estimator; None computes no gradients.
        learnt: Its weights and biases as tensors that gradients reach; None for plain numbers.

    Raises:
        FormatError: If the program does not say how images enter and logits leave.
    """

    name = "hardware"
    estimators = tuple(ESTIMATORS)

    def __init__(
        self,
        program: Program,
        *,
        device: str | torch.device = "cpu",
        using: str | None = None,
        learnt: Learnt | None = None,
        _twin: Twin | None = None,
    ) -> None:
        self.source, self.encoding, self.readout = _interface(program)
        self.program = program
        self.twin = _twin or Twin(program, device=device, learnt=learnt)
        self._estimator: Estimator | None = estimator(using) if using else None

    def using(self, name: str) -> "TwinClassifier":
        """The same classifier, differentiated by another estimator."""
        return TwinClassifier(self.program, using=name, _twin=self.twin)

    def __call__(self, images: Float[Tensor, "N channels H W"]) -> Float[Tensor, "N K"]:
        """Logits of images in [0, 1]; images off the uint8 lattice are rounded to it."""
        run = self.run(images)
        assert run.reading is not None
        return run.reading * self.readout.scale

    def run(
        self,
        images: Float[Tensor, "N channels H W"],
        *,
        record: bool = False,
        wire: Wire | None = None,
    ) -> Run:
        """Everything the populations did; logits are `reading * readout.scale`.

        Args:
            images: In [0, 1].
            record: Whether to keep registers and what arrives.
            wire: What becomes of spikes on their way; None loses none.
        """
        payload = self.payload(images)
        begin_pass(self._estimator)
        return self.twin.run(
            {self.source.name: payload},
            Window(steps=self.encoding.steps),
            estimator=self._estimator if payload.requires_grad or self._learns() else None,
            record=record,
            wire=wire,
        )

    def _learns(self) -> bool:
        return torch.is_grad_enabled() and self.twin.learnt.requires_grad

    def payload(self, images: Float[Tensor, "N channels H W"]) -> Float[Tensor, "t N C H W"]:
        """What enters the chip: round(255·x) − offset, halves to the even level; then the constant.

        One map a step, or a single one that is held at every step.

        Raises:
            DataError: If images of another shape are given.
        """
        shape = self.program.sample_shape
        if tuple(images.shape[1:]) != shape:
            raise DataError(
                f"expected images [N, {', '.join(map(str, shape))}], got "
                f"{list(images.shape)}; check size and channels"
            )
        offset = torch.tensor(self.encoding.offset, device=images.device, dtype=images.dtype)
        levels: Tensor = _Round.apply(images * LEVELS)  # type: ignore[assignment]
        train = stacks_to_train(levels, self.encoding.frames) - offset[:, None, None]
        return with_constant(train, self.encoding)

    def rates(self, images: Float[Tensor, "N channels H W"]) -> Mapping[str, float]:
        """Mean spikes per neuron and step of every spiking population."""
        with torch.no_grad():
            run = self.run(images)
        silent = self.readout.population if self.readout.kind != "spikes" else None
        return {name: float(s.mean()) for name, s in run.spikes.items() if name != silent}


def with_constant(
    train: Float[Tensor, "t N C H W"], encoding: Encoding
) -> Float[Tensor, "t N channels H W"]:
    """Payloads with the constant channel behind them, where the encoding has one."""
    if not encoding.constant:
        return train
    return torch.cat([train, torch.full_like(train[:, :, :1], encoding.constant)], dim=2)


def _interface(program: Program) -> tuple[Source, Encoding, Readout]:
    if program.encoding is None or program.readout is None or len(program.sources) != 1:
        raise FormatError(
            "expected a program with one input, an encoding and a read-out, got a bare network; "
            "deploy a NIR file to get one"
        )
    return program.sources[0], program.encoding, program.readout


class _Round(torch.autograd.Function):
    """Rounding that is differentiated as the identity."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        del ctx
        return x.round()

    @staticmethod
    def backward(ctx: object, *grads: Tensor) -> Tensor:  # type: ignore[override]
        del ctx
        return grads[0]
