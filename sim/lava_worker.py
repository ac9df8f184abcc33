"""The process that runs Lava: `python -m spikeproof.sim.lava_worker REQUEST_FOLDER`.

It is started by `lava.run_lava` as the leader of a session of its own. It leaves `result.npz`,
renamed into place when it is whole, or a traceback on stderr and a non-zero exit.
"""

import ctypes
import multiprocessing
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ..core.files import atomic_path, read_json
from .lava_cleanup import end_session, living, name_shared_memory
from .lava_recording import Recording, record, recorded_models
from .lava_shim import import_netx

FOLDER_PREFIX = "spikeproof-lava-"
REQUEST = "request.json"
RESULT = "result.npz"
PR_SET_PDEATHSIG = 1


def main(folder: Path) -> NoReturn:
    """Runs one request and exits without Lava's own `stop`.

    After an exception in one of its processes `stop` never returns, and without it the
    interpreter never exits: so this process just ends, and whoever watches it ends the others.
    """
    code = 1
    try:
        request = read_json(folder / REQUEST)
        _guard(folder, request)
        result: dict[str, Any] = simulate(folder, request)
        with atomic_path(folder / RESULT) as path, path.open("wb") as stream:
            np.savez(stream, **result)
        code = 0
    except BaseException:  # noqa: BLE001, the caller gets it as the end of stderr
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def simulate(folder: Path, request: dict[str, Any]) -> dict[str, np.ndarray]:
    """Builds the network with netx, runs it and returns `s{k}` (and `u{k}`, `v{k}`), time last."""
    network = build(folder, request)
    recordings = record(network.layers, steps=request["steps"], trace=request["trace"])
    run(network, steps=request["steps"])
    return _numbered(recordings)


def build(folder: Path, request: dict[str, Any]) -> Any:
    """The netx network with its input attached."""
    network = import_netx().Network(
        net_config=request["network"],
        reset_interval=request["reset_interval"],
        reset_offset=request["reset_offset"],
        input_message_bits=request["input_message_bits"],
    )
    sys.stdout.write(f"{network}\n")
    if (bias := _array(folder / "input_bias.npy")) is not None:
        _set_input_bias(network, bias)
    if (x := _array(folder / "x.npy")) is not None:
        source = import_module("lava.proc.io.source").RingBuffer(data=x)
        source.s_out.connect(network.inp)
    return network


def run(network: Any, *, steps: int) -> None:
    """Runs `steps` steps with Lava's fixed-point models of Loihi 2."""
    config = import_module("lava.magma.core.run_configs").Loihi2SimCfg(
        select_tag="fixed_pt", exception_proc_model_map=recorded_models()
    )
    condition = import_module("lava.magma.core.run_conditions").RunSteps(num_steps=steps)
    _end_with_any_process()
    network.run(condition=condition, run_cfg=config)


def _end_with_any_process() -> None:
    """Ends this process as soon as one of Lava's own fails or is killed.

    Lava waits for the others first, and they may wait for a message of the one that is gone.
    """
    runtime: Any = import_module("lava.magma.runtime.runtime")
    target, worker = runtime.target_fn, os.getpid()

    def reporting(*args: Any, **options: Any) -> None:
        try:
            target(*args, **options)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os.kill(worker, signal.SIGTERM)
            raise

    runtime.target_fn = reporting
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(1))
    signal.signal(signal.SIGCHLD, _on_child)


def _on_child(number: int, frame: object) -> None:
    ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    if ended and ended.si_code != os.CLD_EXITED:
        name = signal.Signals(ended.si_status).name
        os.write(2, f"a process of Lava died by {name}\n".encode())
        os._exit(1)


def _set_input_bias(network: Any, bias: np.ndarray) -> None:
    """Drives the input block: netx leaves its bias to the user."""
    layer = network.in_layer
    if type(layer).__name__ != "Input":
        raise ValueError(f"expected an input block for input_bias, got {type(layer).__name__}")
    if bias.shape != tuple(layer.neuron.bias_mant.shape):
        raise ValueError(f"expected input_bias {layer.neuron.bias_mant.shape}, got {bias.shape}")
    layer.neuron.bias_mant.init = bias


def _numbered(recordings: list[Recording]) -> dict[str, np.ndarray]:
    return {
        f"{name}{k}": array
        for k, recording in enumerate(recordings)
        for name, array in recording.finished().items()
    }


def _array(path: Path) -> np.ndarray | None:
    return np.load(path, allow_pickle=False) if path.exists() else None


def _guard(folder: Path, request: dict[str, Any]) -> None:
    """Sees to it that nothing outlives the caller, however the caller ends."""
    _signal_on_death_of_parent(signal.SIGKILL)
    if os.getppid() != request["caller"]:
        raise RuntimeError("expected the process that asked to be alive, got another parent")
    signal.alarm(int(request["timeout"]) + 30)
    _fork(lambda worker: _watch(worker, folder, request))
    name_shared_memory(request["token"])
    # multiprocessing puts a socket here. Relative to the request folder, its path stays below the
    # hundred characters that a socket may have, however deep the folder lies.
    vars(multiprocessing.current_process())["_config"]["tempdir"] = "."


def _fork(job: Callable[[int], None]) -> None:
    """Runs `job(pid of this process)` in a fork which never returns here."""
    worker = os.getpid()
    # Blocked before the fork, so that a death in between is kept and not lost.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    if os.fork():
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return
    try:
        job(worker)
    except BaseException:  # noqa: BLE001, nothing may return into the copy of the worker
        traceback.print_exc()
    finally:
        os._exit(0)


def _watch(worker: int, folder: Path, request: dict[str, Any]) -> None:
    """Waits, in a session of its own, for the worker to die; then ends what the worker started."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _signal_on_death_of_parent(signal.SIGUSR1)
    while os.getppid() == worker:
        signal.sigtimedwait({signal.SIGUSR1}, 1.0)
    end_session(worker, token=request["token"])
    if not (folder / RESULT).exists():
        time.sleep(0.1)  # a caller that is being killed takes its worker down a moment earlier
    if not living(request["caller"]) and folder.name.startswith(FOLDER_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


def _signal_on_death_of_parent(number: signal.Signals) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
