# nir's annotations are narrower than what it takes, and nodes of a graph are known by name here.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportOptionalMemberAccess=false

import hashlib

import h5py
import nir
import numpy as np
import pytest

from spikeproof.core.errors import ConfigError, FormatError, UnsupportedNodeError
from spikeproof.sim.graph.file import KNOWN, read_nir, write_nir

RNG = np.random.default_rng(7)
MAP, STATE = np.array([2, 6, 7]), (2, 6, 7)


def draw(*shape):
    return RNG.uniform(0.1, 1, shape)


EVERY = {
    "input": nir.Input(MAP),
    "scale": nir.Scale(draw(*STATE)),
    "conv1": nir.Conv1d(13, draw(6, 2, 3), 2, "valid", 3, 2, draw(6)),
    "conv2": nir.Conv2d((6, 7), draw(4, 1, 3, 2), (2, 1), (1, 0), (1, 2), 2, draw(4)),
    "same": nir.Conv2d((6, 7), draw(4, 2, 3, 2), 1, "same", 1, 1, draw(4)),
    "sum": nir.SumPool2d(np.array([3, 2]), np.array([1, 2]), np.array([1, 0])),
    "average": nir.AvgPool2d(np.array([2, 3]), np.array([2, 1]), np.array([0, 1])),
    "flat": nir.Flatten({"input": MAP}, start_dim=1, end_dim=2),
    "affine": nir.Affine(draw(5, 84), draw(5)),
    "linear": nir.Linear(RNG.integers(-127, 128, (5, 4), dtype=np.int8)),
    "if": nir.IF(draw(*STATE), draw(*STATE), np.zeros(STATE)),
    "lif": nir.LIF(draw(*STATE), draw(*STATE), np.zeros(STATE), draw(*STATE), draw(*STATE)),
    "cuba": nir.CubaLIF(*(draw(*STATE) for _ in range(6)), w_in=draw(*STATE)),
    "threshold": nir.Threshold(draw(*STATE)),
    "i": nir.I(draw(*STATE)),
    "li": nir.LI(draw(*STATE), draw(*STATE), draw(*STATE)),
    "cubali": nir.CubaLI(*(draw(*STATE) for _ in range(4)), w_in=draw(*STATE)),
    "delay": nir.Delay(draw(*STATE)),
    "output": nir.Output(np.array([5])),
}
for node in EVERY.values():
    node.metadata = {"unit": "ms", "scale": 2.5}


def graph_of(nodes=None, edges=None, **metadata):
    nodes = EVERY if nodes is None else nodes
    edges = [("input", "scale"), ("scale", "output")] if edges is None else edges
    return nir.NIRGraph(dict(nodes), edges, metadata=metadata, type_check=False)


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "every.nir"
    write_nir(path, graph_of(dt=0.5, steps=4, classes='["a"]'))
    return path


def test_every_supported_node_is_in_the_round_trip():
    assert {type(node).__name__ for node in EVERY.values()} == set(KNOWN)


@pytest.mark.parametrize("name", EVERY)
def test_node_reads_back_as_written(written, name):
    before, after = EVERY[name], read_nir(written).nodes[name]
    assert type(after) is type(before)
    for field, value in vars(before).items():
        if field not in ("input_type", "output_type"):
            np.testing.assert_array_equal(getattr(after, field), value, err_msg=field)
    for kind in ("input_type", "output_type"):
        np.testing.assert_equal(getattr(after, kind), getattr(before, kind))


def test_edges_and_metadata_read_back(written):
    graph = read_nir(written)
    assert graph.edges == [("input", "scale"), ("scale", "output")]
    assert graph.metadata == {"dt": 0.5, "steps": 4, "classes": '["a"]'}


def test_weights_keep_their_type(written):
    assert read_nir(written).nodes["linear"].weight.dtype == np.int8


def test_equal_graphs_give_equal_bytes(tmp_path, written):
    again = tmp_path / "again.nir"
    write_nir(again, graph_of(dt=0.5, steps=4, classes='["a"]'))
    hashes = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (written, again)}
    assert len(hashes) == 1


def test_no_object_of_the_file_holds_a_time(written):
    with h5py.File(written) as file:
        objects = [file]
        file.visititems(lambda _, item: objects.append(item))
        times = [h5py.h5o.get_info(item.id) for item in objects]
    assert not any(getattr(info, "ctime", 0) or getattr(info, "mtime", 0) for info in times)


def test_nir_itself_reads_the_file(written):
    assert set(nir.read(written, type_check=False).nodes) == set(EVERY)


def test_a_read_graph_writes_the_same_nodes(tmp_path, written):
    write_nir(tmp_path / "again.nir", read_nir(written))
    assert set(read_nir(tmp_path / "again.nir").nodes) == set(EVERY)


def test_every_truncation_is_refused(written):
    data = written.read_bytes()
    for length in range(0, len(data), len(data) // 40):
        written.write_bytes(data[:length])
        with pytest.raises(FormatError, match="expected"):
            read_nir(written)


def test_damaged_weights_are_refused_by_name(written):
    with h5py.File(written) as file:
        chunk = file["node/nodes/affine/weight"].id.get_chunk_info(0)
    data = bytearray(written.read_bytes())
    for place in range(chunk.byte_offset, chunk.byte_offset + chunk.size):
        data[place] ^= 0x5A
    written.write_bytes(data)
    with pytest.raises(FormatError, match="affine/weight to be readable"):
        read_nir(written)


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", b"\x89HDF\r\n\x1a\n"])
def test_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "foreign.nir"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"foreign\.nir"):
        read_nir(path)


def test_absent_file_is_refused(tmp_path):
    with pytest.raises(FormatError, match="no file"):
        read_nir(tmp_path / "absent.nir")


def test_other_hdf5_file_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.nir", "w") as file:
        file["weights"] = np.ones(3)
    with pytest.raises(FormatError, match="to hold 'node', got weights"):
        read_nir(tmp_path / "other.nir")


def test_single_node_file_is_refused(tmp_path):
    nir.write(tmp_path / "node.nir", EVERY["affine"])
    with pytest.raises(FormatError, match=r"expected a NIR graph in .*, got Affine"):
        read_nir(tmp_path / "node.nir")


def test_empty_graph_reads_back(tmp_path):
    write_nir(tmp_path / "empty.nir", nir.NIRGraph({}, [], type_check=False))
    graph = read_nir(tmp_path / "empty.nir")
    assert (graph.nodes, graph.edges) == ({}, [])


@pytest.mark.parametrize(
    "inner",
    [
        nir.NIRGraph({"a": nir.Input(MAP), "b": nir.Output(MAP)}, [("a", "b")]),
        graph_of(EVERY, steps=3),
    ],
    ids=["plain", "every node"],
)
def test_graph_inside_a_graph_reads_back(tmp_path, inner):
    write_nir(tmp_path / "nested.nir", graph_of(EVERY | {"inner": inner}))
    found = read_nir(tmp_path / "nested.nir").nodes["inner"]
    assert list(found.nodes) == sorted(inner.nodes)
    assert (found.edges, found.metadata) == (inner.edges, inner.metadata)


def test_unknown_node_is_refused_by_name(written):
    edit(written, replaced("nodes/li/type", "Izhikevich"))
    with pytest.raises(UnsupportedNodeError, match="node 'li' to be one of .*, got Izhikevich"):
        read_nir(written)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_by_name(tmp_path, bad):
    weight = draw(5, 4)
    weight[2, 1] = bad
    write_nir(tmp_path / "nan.nir", graph_of(EVERY | {"linear": nir.Linear(weight)}))
    with pytest.raises(FormatError, match="finite numbers in .*linear/weight"):
        read_nir(tmp_path / "nan.nir")


def edit(path, change):
    with h5py.File(path, "a") as file:
        change(file["node"])


def without(name):
    return lambda node: node.__delitem__(name)


def replaced(name, value):
    def change(node):
        del node[name]
        node[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("edges"), "to hold 'edges'"),
        (without("nodes"), "to hold 'nodes'"),
        (without("nodes/affine/type"), "affine to hold 'type'"),
        (without("nodes/affine/bias"), "fields of Affine in node 'affine', got \\['weight'\\]"),
        (replaced("nodes/affine/weight", np.ones(4)), "node 'affine'"),
        (replaced("nodes/lif/tau", np.ones(3)), "node 'lif'"),
        (replaced("nodes/affine/weight", "text"), "numbers in .*affine/weight"),
        (replaced("nodes/conv2/padding", "wide"), "node 'conv2'"),
        (replaced("edges", np.array([b"input", b"output"])), "pairs of node names"),
        (replaced("edges", h5py.SoftLink("/version")), "link"),
    ],
)
def test_damaged_structure_is_refused_by_name(written, change, message):
    edit(written, change)
    with pytest.raises(FormatError, match=message):
        read_nir(written)


def test_metadata_groups_of_other_tools_are_left_alone(written):
    edit(written, lambda node: node["metadata"].create_group("theirs"))
    assert read_nir(written).metadata["steps"] == 4


def test_nothing_is_left_behind_when_writing_fails(tmp_path):
    broken = nir.Affine(draw(2, 3), None)
    with pytest.raises(TypeError):
        write_nir(tmp_path / "broken.nir", graph_of(EVERY | {"affine": broken}))
    assert not list(tmp_path.iterdir())


def test_an_output_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="writable output"):
        write_nir(tmp_path / "file" / "model.nir", graph_of())
