"""What a step of training computes, how often, and in which numbers."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from spikeproof.sim.neurons.neuron import KERNELS
from spikeproof.train.config import TrainConfig
from spikeproof.train.loop import run
from spikeproof.train.processes import Processes, start
from spikeproof.train.training import Training, _torch_generator, fresh

LAST = torch.channels_last


@pytest.fixture
def make_training(tiny_config, digits):
    """A training in memory, and what a step needs: images, labels, share, draws."""

    def make(network=tiny_config, **options):
        options = {"method": "srstar", "penalty_weight": 0.002} | options
        if options["method"] not in ("sr", "srstar"):
            del options["penalty_weight"]
        config = TrainConfig(batch_size=32, holdout=0.2, validation_steps=2, **options)
        fabric, _ = start(Processes(device="cpu"), config.precision)
        training = Training(config, fresh(network, config), digits, fabric=fabric)
        training.network.train()
        return training, (*next(training._batches(1)), _torch_generator(0, "attack", 1))

    return make


class Watch(TorchDispatchMode):
    """Counts what torch executes."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        self.calls[func.overloadpacket.__name__] += 1
        if func.overloadpacket.__name__ == "convolution_backward":
            _, of_weights, _ = args[-1]
            self.calls["convolution_backward, weights"] += of_weights
        return found


def watched(training, batch):
    with Watch() as watch:
        training._step(*batch)
    return watch.calls


# Forward passes, backward passes to the images, and full backward passes; two convolutions each.
PASSES = {
    "vanilla": (1, 0, 1),
    "at": (6, 5, 1),
    "sr": (2, 1, 2),
    "srstar": (7, 6, 2),
    "sr without weight": (1, 0, 1),
    "srstar without weight": (6, 5, 1),
}


@pytest.mark.parametrize("case", PASSES)
def test_steps_make_the_passes_they_need_and_no_more(case, make_training):
    forward, to_images, full = PASSES[case]
    method, *without = case.split(" ", 1)
    training, batch = make_training(method=method, penalty_weight=0.0 if without else 0.002)
    calls = watched(training, batch)
    assert calls["convolution"] == 2 * forward
    assert calls["convolution_backward"] == 2 * (to_images + full)
    assert calls["convolution_backward, weights"] == 2 * full


WAITS = ("_local_scalar_dense", "item", "nonzero", "masked_select", "is_nonzero", "equal")


@pytest.mark.parametrize("method", ["at", "srstar", "trades", "rat"])
def test_a_step_never_waits_for_the_device(method, make_training):
    options = {"orthogonality_weight": 0.1} if method == "rat" else {}
    training, batch = make_training(method=method, **options)
    calls = watched(training, batch)
    assert calls["convolution"] > 0
    assert not [name for name in WAITS if calls[name]]


def test_projecting_residual_sums_never_waits_for_the_device(make_training, tiny_config):
    wide = replace(tiny_config, architecture="wrn10-1", widths=(2, 3), hidden=())
    training, batch = make_training(wide, method="rat", orthogonality_weight=0.1)
    calls = watched(training, batch)
    assert calls["sort"] == 1
    assert not [name for name in WAITS if calls[name]]


def test_the_first_convolution_runs_on_images_and_not_on_steps(make_training):
    training, batch = make_training()
    sizes = []
    training.network.layers[0].register_forward_hook(lambda m, i, o: sizes.append(len(o)))
    training._step(*batch)
    assert set(sizes) == {32}


def trained(training, batch):
    training._step(*batch)
    return {name: p.detach() for name, p in training.network.named_parameters()}


def test_channels_last_gives_the_same_weights(make_training):
    plain, last = (
        trained(*make_training(memory_format=f)) for f in ("contiguous", "channels_last")
    )
    assert last["layers.conv2.weight"].is_contiguous(memory_format=LAST)
    for name, value in plain.items():
        torch.testing.assert_close(last[name], value, rtol=1e-3, atol=1e-4)


def test_gradients_and_momentum_lie_in_memory_as_their_parameters(make_training):
    training, batch = make_training(memory_format="channels_last")
    training._step(*batch)
    for p in training.network.parameters():
        assert p.grad.stride() == p.stride()
        assert training.optimizer.state[p]["momentum_buffer"].stride() == p.stride()


def test_training_with_channels_last_resumes_bit_for_bit(
    quick, tiny_config, digits, tmp_path, interrupt_after
):
    config, out = replace(quick, epochs=2, memory_format="channels_last"), tmp_path / "resumed"
    straight = run(config, tiny_config, digits, tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        run(config, tiny_config, digits, out, tracker=interrupt_after(4))
    resumed = run(config, tiny_config, digits, out, resume=True)
    files = [result.folder / "last.safetensors" for result in (straight, resumed)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_fused_sgd_steps_as_its_equation_says(make_training):
    training, batch = make_training(method="vanilla")
    config = training.config
    before = [p.detach().clone() for p in training.network.parameters()]
    training._step(*batch)
    assert training.optimizer.defaults["fused"]
    for w, p in zip(before, training.network.parameters(), strict=True):
        expected = w - config.learning_rate * (p.grad + config.weight_decay * w)
        torch.testing.assert_close(p.detach(), expected)


def test_bf16_computes_steps_in_bf16_and_validates_in_float32(make_training):
    training, batch = make_training(precision="bf16-mixed", memory_format="channels_last")
    kinds: dict[bool, set[torch.dtype]] = {True: set(), False: set()}

    def note(module: nn.Module, given, output) -> None:
        kinds[is_step].add(output.dtype)

    training.network.layers[0].register_forward_hook(note)
    training.network.layers[2].register_forward_hook(note)
    is_step = True
    training._step(*batch)
    is_step = False
    training._validate(is_last=True)
    assert kinds == {True: {torch.bfloat16}, False: {torch.float32}}
    assert all(p.grad.dtype == torch.float32 for p in training.network.parameters())


@pytest.mark.parametrize("name", KERNELS)
def test_the_kernel_reaches_every_neuron(name, make_training):
    training, _ = make_training(neuron_kernel=name)
    layers = [m for m in training.network.modules() if hasattr(m, "kernel_name")]
    assert [layer.kernel_name for layer in layers] == [name] * 3


@pytest.mark.gpu
def test_a_step_on_a_gpu_never_waits(quick, tiny_config, digits):
    fabric, _ = start(Processes(device="cuda"), quick.precision)
    training = Training(quick, fresh(tiny_config, quick), digits, fabric=fabric)
    training.network.train()
    batch = (*next(training._batches(1)), _torch_generator(0, "attack", 1))
    training._step(*batch)  # what is made once may wait
    torch.cuda.set_sync_debug_mode("error")
    try:
        training._step(*batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
