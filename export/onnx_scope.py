"""ONNX graphs, written node by node, and run: the only place that knows the library onnx."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import MissingAbilityError, RangeError

INSTALL = "run pip install 'spikeproof[onnx]'"
OPSET, IR_VERSION = 17, 8
"""Old enough for runtimes of 2022, with every operator that is used here."""
PRODUCER = "spikeproof"
LARGEST = 2**31 - 1
"""Bytes that fit an ONNX file: the limit of protocol buffers."""

Value = str
"""The name of a tensor in a graph."""
Shapes = dict[str, tuple[Any, Sequence[int | str]]]
"""Type and shape of tensors by name; a word stands for a size left open."""


class Scope:
    """Nodes of one ONNX graph that is being written; a body inside it sees its values.

    Names count up in order of writing, so equal calls give equal bytes.

    Args:
        outer: The graph that this one is the body of.
    """

    def __init__(self, outer: "Scope | None" = None) -> None:
        require_onnx()
        self._root: Scope = outer._root if outer else self
        self._nodes: list[Any] = []
        if outer is None:
            self._constants: dict[tuple[str, tuple[int, ...], bytes], Value] = {}
            self._initializers: list[Any] = []
            self._count = 0

    def add(self, op: str, *inputs: Value, **attributes: Any) -> Value:
        """A node with one output; its name."""
        return self.add_many(op, inputs, 1, **attributes)[0]

    def add_many(
        self, op: str, inputs: Sequence[Value], outputs: int, **attributes: Any
    ) -> list[Value]:
        """A node with several outputs; their names."""
        from onnx import helper

        names = [self.fresh(op) for _ in range(outputs)]
        self._nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names

    def fresh(self, hint: str) -> Value:
        """A name that is not in use."""
        self._root._count += 1
        return f"{hint}_{self._root._count}"

    def constant(self, values: np.ndarray) -> Value:
        """A tensor stored in the file, once however often it is asked for."""
        from onnx import numpy_helper

        root, values = self._root, np.asarray(values, order="C")
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in root._constants:
            root._constants[key] = name = self.fresh("constant")
            root._initializers.append(numpy_helper.from_array(values, name))
        return root._constants[key]

    def integers(self, *values: int) -> Value:
        """A vector of int64, as shapes and axes are given."""
        return self.constant(np.array(values, dtype=np.int64))

    def cast(self, x: Value, dtype: Any) -> Value:
        """`x` as numbers of another type."""
        from onnx import helper

        return self.add("Cast", x, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def zeros(self, shape: Value, dtype: Any) -> Value:
        """Zeros of a shape that is known when the graph runs."""
        from onnx import numpy_helper

        return self.add("ConstantOfShape", shape, value=numpy_helper.from_array(np.zeros(1, dtype)))

    def rename(self, x: Value, name: str) -> Value:
        """`x` under a name that a reader of the file knows."""
        from onnx import helper

        self._nodes.append(helper.make_node("Identity", [x], [name]))
        return name

    def scan(
        self,
        states: Sequence[Value],
        trains: Sequence[Value],
        body: Callable[["Scope", list[Value], list[Value]], tuple[list[Value], list[Value]]],
    ) -> tuple[list[Value], list[Value]]:
        """Repeats `body` along the first axis of `trains`.

        Args:
            states: What is carried, at the start.
            trains: At least one.
            body: From states and one step of the trains to new states and outputs.

        Returns:
            The states at the end, and each output stacked over the steps.
        """
        from onnx import helper

        inner = Scope(self)
        before = [inner.fresh("before") for _ in states]
        steps = [inner.fresh("step") for _ in trains]
        after, out = body(inner, before, steps)
        # An output of a body may be neither its input nor another output.
        results = [inner.add("Identity", value) for value in (*after, *out)]
        graph = helper.make_graph(
            inner._nodes,
            self.fresh("steps"),
            [_untyped(name) for name in (*before, *steps)],
            [_untyped(name) for name in results],
        )
        found = self.add_many(
            "Scan", (*states, *trains), len(results), body=graph, num_scan_inputs=len(steps)
        )
        return found[: len(states)], found[len(states) :]

    def model(
        self,
        *,
        name: str,
        doc: str,
        inputs: Shapes,
        outputs: Shapes,
        metadata: Mapping[str, str],
    ) -> bytes:
        """The finished file.

        Args:
            name: Of the graph.
            doc: What it says of itself.
            inputs: Type and shape by name.
            outputs: Likewise.
            metadata: Strings by name.

        Raises:
            RangeError: If it is larger than ONNX files can be.
        """
        from onnx import helper

        from .. import __version__

        graph = helper.make_graph(
            self._nodes,
            name,
            [_typed(*item) for item in inputs.items()],
            [_typed(*item) for item in outputs.items()],
            self._initializers,
        )
        model = helper.make_model(
            graph,
            producer_name=PRODUCER,
            producer_version=__version__,
            doc_string=doc,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        helper.set_model_props(model, dict(sorted(metadata.items())))
        if model.ByteSize() > LARGEST:
            raise RangeError(
                f"expected a network of at most {LARGEST} bytes, got {model.ByteSize()}; ONNX "
                f"files hold no more, keep the NIR file"
            )
        return model.SerializeToString(deterministic=True)


def onnx_missing() -> str:
    """What is missing to write ONNX files, and how to get it; empty where nothing is."""
    for name in ("onnx", "onnxruntime"):
        try:
            __import__(name)
        except ImportError as error:
            return f"expected {name} to write ONNX files, got {error}; {INSTALL}"
    return ""


def require_onnx() -> None:
    """Finds out whether onnx and onnxruntime are there.

    Raises:
        MissingAbilityError: Naming what is missing and how to get it.
    """
    if reason := onnx_missing():
        raise MissingAbilityError(reason)


def run_onnx(
    model: bytes | Path, given: Mapping[str, np.ndarray], wanted: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Outputs of a model under onnxruntime on one thread, by name; all where none is named."""
    session = open_session(model)
    names = list(wanted) or [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(given)), strict=True))


def open_session(model: bytes | Path) -> Any:
    """A model ready to run under onnxruntime on the CPU, on one thread."""
    require_onnx()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def _typed(name: str, kind: tuple[Any, Sequence[int | str]]) -> Any:
    from onnx import helper

    dtype, shape = kind
    return helper.make_tensor_value_info(
        name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape
    )


def _untyped(name: str) -> Any:
    from onnx import helper

    return helper.make_empty_tensor_value_info(name)
