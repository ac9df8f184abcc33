"""The process that runs Lava: `python -m spikeproof.sim.oracle.worker REQUEST_FOLDER`.

It is started by `lava.run_lava` as the leader of a session of its own. It imports Lava once and
runs each network in a fork, which leaves `result.npz` in the folder of that run, renamed into
place when it is whole, or a traceback on stderr; the first failure ends the worker with exit 1.
"""

import multiprocessing
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ...core.files import atomic_path, read_json
from ..program_file import read_program
from .build import build
from .cleanup import adopt_orphans, end_session, living, name_shared_memory, signal_on_orphaned
from .recording import Recording, record, recorded_models
from .request import INPUT_BIAS, INPUTS, PROGRAM, X
from .shim import import_netx

FOLDER_PREFIX = "spikeproof-lava-"
REQUEST = "request.json"
RESULT = "result.npz"


def main(folder: Path) -> NoReturn:
    """Runs what the request lists, one network after the other, until one fails."""
    code = 1
    try:
        request = read_json(folder / REQUEST)
        _guard(folder, request)
        import_netx()
        for index, run in enumerate(request["runs"]):
            _run_apart(folder / str(index), run, token=f"{request['token']}-{index}")
        code = 0
    except BaseException:  # noqa: BLE001, the caller gets it as the end of stderr
        traceback.print_exc()
    finally:
        _leave(code)


def _run_apart(folder: Path, run: dict[str, Any], *, token: str) -> None:
    """One run in a fork that exits without Lava's own `stop`; afterwards nothing of it is left.

    After an exception in one of its processes `stop` never returns, and without it the
    interpreter never exits: so the fork just ends, and this process ends the others.
    """
    worker = os.getpid()
    sys.stdout.flush()
    if not (pid := os.fork()):
        _run(folder, run, token=token, worker=worker)
    ended = os.waitid(os.P_PID, pid, os.WEXITED)
    assert ended is not None
    end_session(worker, token=token, spared=worker)
    while os.waitpid(-1, os.WNOHANG)[0]:  # the watchdog lives, so there is always a child
        pass
    if ended.si_code != os.CLD_EXITED:
        sys.stderr.write(f"the run died by {signal.Signals(ended.si_status).name}\n")
    if ended.si_code != os.CLD_EXITED or ended.si_status:
        _leave(1)


def _run(folder: Path, run: dict[str, Any], *, token: str, worker: int) -> NoReturn:
    code = 1
    try:
        signal_on_orphaned(signal.SIGKILL, parent=worker)
        name_shared_memory(token)
        result: dict[str, Any] = simulate(folder, run)
        with atomic_path(folder / RESULT) as path, path.open("wb") as stream:
            np.savez(stream, **result)
        code = 0
    except BaseException:  # noqa: BLE001, the caller gets it as the end of stderr
        traceback.print_exc()
    finally:
        _leave(code)


def _leave(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def simulate(folder: Path, run: dict[str, Any]) -> dict[str, np.ndarray]:
    """Builds the network, runs it and returns `s{k}` (and `u{k}`, `v{k}`), time last."""
    network, layers = (_build_netx if run["network"] else _build_program)(folder, run)
    recordings = record(layers, steps=run["steps"], trace=run["trace"])
    _run_steps(network, steps=run["steps"])
    return _numbered(recordings)


def _build_netx(folder: Path, run: dict[str, Any]) -> tuple[Any, list[Any]]:
    """A netx network with its input attached, and its layers of neurons."""
    network = import_module("lava.lib.dl.netx.hdf5").Network(
        net_config=run["network"],
        reset_interval=run["reset_interval"],
        reset_offset=run["reset_offset"],
        input_message_bits=run["input_message_bits"],
    )
    sys.stdout.write(f"{network}\n")
    if (bias := _array(folder / INPUT_BIAS)) is not None:
        _set_input_bias(network, bias)
    if (x := _array(folder / X)) is not None:
        source = import_module("lava.proc.io.source").RingBuffer(data=x)
        source.s_out.connect(network.inp)
    return network, [layer.neuron for layer in network.layers]


def _build_program(folder: Path, run: dict[str, Any]) -> tuple[Any, list[Any]]:
    """One process of a Program's, to which all others are connected, and its populations."""
    program = read_program(folder / PROGRAM)
    with np.load(folder / INPUTS, allow_pickle=False) as file:
        inputs = {source.name: file[str(k)] for k, source in enumerate(program.sources)}
    populations = build(
        program,
        inputs,
        reset_interval=run["reset_interval"],
        reset_offset=run["reset_offset"],
    )
    return populations[0], populations


def _run_steps(process: Any, *, steps: int) -> None:
    """Runs a process and all that is connected to it, with Lava's fixed-point models of Loihi 2."""
    config = import_module("lava.magma.core.run_configs").Loihi2SimCfg(
        select_tag="fixed_pt", exception_proc_model_map=recorded_models()
    )
    condition = import_module("lava.magma.core.run_conditions").RunSteps(num_steps=steps)
    _end_with_any_process()
    process.run(condition=condition, run_cfg=config)


def _end_with_any_process() -> None:
    """Ends this process as soon as one of Lava's own fails or is killed.

    Lava waits for the others first, and they may wait for a message of the one that is gone.
    """
    runtime: Any = import_module("lava.magma.runtime.runtime")
    target, caller = runtime.target_fn, os.getpid()

    def reporting(*args: Any, **options: Any) -> None:
        try:
            target(*args, **options)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os.kill(caller, signal.SIGTERM)
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
    try:
        signal_on_orphaned(signal.SIGKILL, parent=request["caller"])
    except RuntimeError:
        _remove_unwanted(folder, request)
        raise
    signal.alarm(int(request["timeout"]) + 30)
    _fork(lambda worker: _watch(worker, folder, request))
    adopt_orphans()
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
    with suppress(RuntimeError):  # dead already: the loop ends at once
        signal_on_orphaned(signal.SIGUSR1, parent=worker)
    while os.getppid() == worker:
        signal.sigtimedwait({signal.SIGUSR1}, 1.0)
    end_session(worker, token=request["token"])
    if not (folder / str(len(request["runs"]) - 1) / RESULT).exists():
        time.sleep(0.1)  # a caller that is being killed takes its worker down a moment earlier
    _remove_unwanted(folder, request)


def _remove_unwanted(folder: Path, request: dict[str, Any]) -> None:
    """Removes the request's folder where nobody is left who would."""
    if not living(request["caller"]) and folder.name.startswith(FOLDER_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
