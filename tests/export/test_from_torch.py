# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportOptionalMemberAccess=false, reportGeneralTypeIssues=false
# pyright: reportIncompatibleMethodOverride=false

import nir
import norse.torch as norse
import pytest
import torch
from norse.torch.functional.iaf import IAFParameters
from norse.torch.functional.leaky_integrator import LIParameters
from norse.torch.functional.leaky_integrator_box import LIBoxParameters
from norse.torch.functional.lif import LIFParameters
from norse.torch.functional.lif_box import LIFBoxParameters
from norse.torch.functional.reset import reset_subtract
from norse.torch.module.iaf import IAFCell
from norse.torch.module.leaky_integrator_box import LIBoxCell
from norse.torch.module.lif_box import LIFBoxCell
from torch import nn

from spikeproof.core.errors import ConfigError, DataError, NotEqualError, UnsupportedNodeError
from spikeproof.export.from_torch import compare_module, export_module, module_to_nir
from spikeproof.sim.graph.meta import read_meta

STEPS, SHAPE, DT = 7, (2, 6, 5), 0.002


def per_channel(low, high):
    return torch.linspace(low, high, 3).reshape(3, 1, 1)


BOX = LIFBoxParameters(
    tau_mem_inv=per_channel(90, 300),
    v_leak=torch.tensor(-0.1),
    v_th=per_channel(0.1, 0.3),
    v_reset=torch.tensor(-0.2),
)
CURRENT = LIFParameters(
    tau_syn_inv=per_channel(100, 250),
    tau_mem_inv=torch.tensor(180.0),
    v_leak=torch.tensor(0.05),
    v_th=torch.tensor(0.4),
    v_reset=torch.tensor(-0.1),
)
IAF = IAFParameters(v_th=torch.tensor(1.3), v_reset=torch.tensor(-0.2))
SUBTRACT = BOX._replace(reset_method=reset_subtract, v_reset=torch.tensor(0.0))
NEURONS = {
    "IAFCell": (lambda: IAFCell(IAF, dt=DT), "value", nir.IF),
    "LIFBoxCell": (lambda: LIFBoxCell(BOX, dt=DT), "value", nir.LIF),
    "subtract": (lambda: LIFBoxCell(SUBTRACT, dt=DT), "subtract", nir.LIF),
    "LIFCell": (lambda: norse.LIFCell(CURRENT, dt=DT), "value", nir.CubaLIF),
}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(4)


@pytest.fixture
def inputs(rng):
    return torch.tensor(rng.uniform(0, 1, (STEPS, 4, *SHAPE)))


def layers(neurons, *tail, flat=1):
    norm = nn.BatchNorm2d(3)
    norm.running_mean.normal_(0, 0.2)
    norm.running_var.uniform_(0.3, 0.6)
    front = [nn.Conv2d(2, 3, 3, padding=1), norm, neurons, nn.AvgPool2d(2, stride=(2, 1))]
    return [*front, nn.Dropout(0.5), nn.Flatten(flat), nn.Linear(36, 4), *tail]


def frames(**options):
    return {"steps": STEPS, "encoding": "frames"} | options


@pytest.mark.parametrize("sequence", [nn.Sequential, norse.SequentialState])
@pytest.mark.parametrize(("make", "reset", "kind"), NEURONS.values(), ids=NEURONS)
def test_sequence_of_cells_survives_the_file(tmp_path, inputs, sequence, make, reset, kind):
    module = sequence(*layers(make()))
    report = export_module(module, tmp_path / "m.nir", inputs=inputs, **frames())
    assert report.logit_difference <= 1e-9
    assert 0.05 < report.rates["2"] < 0.95
    graph = nir.read(tmp_path / "m.nir")
    assert type(graph.nodes["2"]) is kind
    assert graph.nodes["2"].v_threshold.shape == (3, 6, 5)
    assert (read_meta(graph).reset, read_meta(graph).dt) == (reset, DT)


LEAKY = {
    "LIBoxCell": lambda: LIBoxCell(
        LIBoxParameters(tau_mem_inv=torch.tensor([90.0, 120, 150, 200]), v_leak=torch.tensor(0.2)),
        dt=DT,
    ),
    "LICell": lambda: norse.LICell(
        LIParameters(
            tau_syn_inv=torch.tensor(150.0),
            tau_mem_inv=torch.tensor([90.0, 120, 150, 200]),
            v_leak=torch.tensor(-0.1),
        ),
        dt=DT,
    ),
}


@pytest.mark.parametrize("readout", ["membrane", "last"])
@pytest.mark.parametrize("make", LEAKY.values(), ids=LEAKY)
def test_leaky_integrators_are_read_out(tmp_path, inputs, make, readout):
    module = norse.SequentialState(*layers(LIFBoxCell(BOX, dt=DT), make()))
    report = export_module(module, tmp_path / "m.nir", inputs=inputs, **frames(readout=readout))
    assert report.logit_difference <= 1e-9


def test_modules_that_take_trains_and_lifted_ones_survive(tmp_path, inputs):
    conv, pool = norse.Lift(nn.Conv2d(2, 3, 3)), norse.Lift(nn.AvgPool2d(2))
    module = norse.SequentialState(
        conv, norse.LIF(CURRENT, dt=DT), pool, nn.Flatten(2), nn.Linear(6, 4)
    )
    report = export_module(module, tmp_path / "m.nir", inputs=inputs, **frames())
    assert 0.05 < report.rates["1"] < 0.95


def test_nested_sequences_keep_their_names(inputs):
    inner = norse.SequentialState(nn.Conv2d(2, 3, 3, padding=1), IAFCell(IAF, dt=DT))
    graph = module_to_nir(
        nn.Sequential(inner, nn.Flatten(), nn.Linear(90, 4)), input_shape=SHAPE, steps=STEPS
    )
    assert list(graph.nodes) == ["input", "0.0", "0.1", "1", "2", "output"]


def test_direct_input_is_there_at_every_step(tmp_path, inputs):
    module = nn.Sequential(*layers(IAFCell(IAF, dt=DT)))
    report = export_module(module, tmp_path / "m.nir", inputs=inputs[:1], steps=STEPS)
    assert report.samples == 4


def test_spikes_are_counted_where_neurons_come_last(tmp_path, inputs):
    module = nn.Sequential(*layers(IAFCell(IAF, dt=DT), IAFCell(IAF, dt=DT)))
    report = export_module(module, tmp_path / "m.nir", inputs=inputs, **frames(readout="spikes"))
    assert report.logit_difference == 0


def test_graph_that_computes_something_else_is_refused(inputs):
    module = nn.Sequential(*layers(IAFCell(IAF, dt=DT)))
    graph = module_to_nir(module, input_shape=SHAPE, **frames())
    graph.nodes["0"].weight *= 1.5
    with pytest.raises(NotEqualError, match="layer '2' in float64 as in the module"):
        compare_module(module, graph, inputs)


def test_module_is_left_as_it_was(tmp_path, inputs):
    module = nn.Sequential(*layers(LIFBoxCell(BOX, dt=DT))).train()
    before = module[2].p
    export_module(module, tmp_path / "m.nir", inputs=inputs, **frames())
    assert module.training
    assert module[2].p is before
    assert not any(value.requires_grad for value in before if isinstance(value, torch.Tensor))


ODD = {
    "module": (nn.MaxPool2d(2), UnsupportedNodeError, r"layer 1 \('1'\) to be one of .*MaxPool2d"),
    "recurrent": (
        norse.LIFRecurrentCell(3, 3),
        UnsupportedNodeError,
        r"layer 1 \('1'\) to be one of .*LIFRecurrentCell",
    ),
    "reset": (
        LIFBoxCell(BOX._replace(reset_method=lambda z, v, r, t: v), dt=DT),
        UnsupportedNodeError,
        r"layer 1 \('1'\) to be a cell with Norse's reset_value or reset_subtract",
    ),
    "dt": (IAFCell(IAF, dt=0.5), ConfigError, r"cells of one time step, got \[0.002, 0.5\]"),
    "two resets": (LIFBoxCell(SUBTRACT, dt=DT), ConfigError, "one reset for all cells, got"),
    "parameters": (
        LIFBoxCell(BOX._replace(v_th=torch.ones(4)), dt=DT),
        UnsupportedNodeError,
        r"'1' \(Cell\) to be neurons with parameters for \(3, 6, 5\)",
    ),
    "pool": (
        nn.AvgPool2d(2, divisor_override=3),
        UnsupportedNodeError,
        r"'1' \(Pool\) to be pooling that averages or sums",
    ),
    "ceil": (
        nn.AvgPool2d(2, ceil_mode=True),
        UnsupportedNodeError,
        r"'1' \(Pool\) to be pooling whose windows end inside",
    ),
}


@pytest.mark.parametrize(("layer", "error", "message"), ODD.values(), ids=ODD)
def test_layer_is_refused_by_name_and_reason(layer, error, message):
    module = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), layer, IAFCell(IAF, dt=DT))
    with pytest.raises(error, match=message):
        module_to_nir(module, input_shape=SHAPE, steps=STEPS)


def test_layer_is_refused_before_a_time_step_is_missed():
    module = nn.Sequential(nn.Flatten(), nn.Linear(60, 4), nn.ReLU(), nn.Linear(4, 2))
    with pytest.raises(UnsupportedNodeError, match=r"layer 2 \('2'\) to be one of .*, got ReLU"):
        module_to_nir(module, input_shape=SHAPE, steps=STEPS)


@pytest.mark.parametrize("change", [lambda x: x * torch.nan, lambda x: x[:-1], lambda x: x[:, :0]])
def test_inputs_that_compare_nothing_are_refused(tmp_path, inputs, change):
    module = nn.Sequential(*layers(LIFBoxCell(BOX, dt=DT)))
    with pytest.raises(DataError, match="expected finite trains"):
        export_module(module, tmp_path / "m.nir", inputs=change(inputs), **frames())
    assert not (tmp_path / "m.nir").exists()


def test_sequence_without_cells_needs_a_time_step():
    module = nn.Sequential(nn.Flatten(), nn.Linear(60, 4))
    with pytest.raises(ConfigError, match="one time step, got"):
        module_to_nir(module, input_shape=SHAPE, steps=1)
    assert read_meta(module_to_nir(module, input_shape=SHAPE, steps=1, dt=0.5)).dt == 0.5


def test_layer_that_stands_in_two_places_is_kept_in_both(tmp_path, inputs):
    cell, linear = IAFCell(IAFParameters(v_th=torch.tensor(0.1)), dt=DT), nn.Linear(60, 60)
    twice = nn.Sequential(nn.Flatten(), linear, cell, linear, cell)
    options = {"steps": STEPS, "encoding": "frames", "readout": "spikes"}
    report = export_module(twice, tmp_path / "twice.nir", inputs=inputs, **options)
    assert list(report.rates) == ["2", "4"]
    assert min(report.rates.values()) > 0


def test_module_with_a_forward_of_its_own_is_refused():
    class Doubled(nn.Sequential):
        def forward(self, x):
            return 2 * super().forward(x)

    with pytest.raises(UnsupportedNodeError, match="got Doubled with a forward of its own"):
        module_to_nir(Doubled(nn.Flatten(), IAFCell(dt=DT)), input_shape=SHAPE, steps=STEPS)


def test_sequence_under_another_name_survives():
    class Named(nn.Sequential):
        pass

    graph = module_to_nir(
        Named(nn.Flatten(), IAFCell(dt=DT)), input_shape=SHAPE, steps=STEPS, readout="spikes"
    )
    assert set(graph.nodes) == {"input", "0", "1", "output"}
