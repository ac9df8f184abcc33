import re

import numpy as np
import torch
from hypothesis import event, given, settings

from spikeproof.core.errors import UnsupportedNodeError
from spikeproof.deploy.lower import lower
from spikeproof.export.to_nir import to_nir
from spikeproof.sim.graph.meta import read_meta
from spikeproof.sim.graph.network import NirNetwork
from spikeproof.tests.deploy.float_run import float_run
from spikeproof.tests.export.random_graphs import CONFIG, network_of, random_plans

IMAGES = np.random.default_rng(3).integers(0, 256, (2, *CONFIG.input_shape), dtype=np.uint8)


def lowered_or_reason(graph, meta):
    try:
        return lower(graph, meta)
    except UnsupportedNodeError as error:
        return str(error)


@settings(max_examples=25)
@given(plan=random_plans())
def test_random_graph_is_lowered_exactly_or_refused_by_the_name_of_a_node(plan):
    graph = to_nir(network_of(*plan))
    double = NirNetwork(graph, read_meta(graph), dtype=torch.float64)
    lowered = lowered_or_reason(graph, double.meta)
    if isinstance(lowered, str):
        event("refused")
        assert set(re.findall(r"'(\w+)'", lowered)) & set(graph.nodes)
        return
    trains, logits = float_run(lowered, IMAGES)
    images = torch.from_numpy(IMAGES)
    for name, train in double.run(double.encode(images)).items():
        np.testing.assert_array_equal(trains[name], train)
    np.testing.assert_allclose(logits, double(images), rtol=0, atol=1e-9)
