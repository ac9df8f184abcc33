import numpy as np
import torch
from hypothesis import event, given, settings

from spikeproof.export.to_nir import to_nir
from spikeproof.export.verify import verify
from spikeproof.tests.export.random_graphs import CONFIG, network_of, random_plans
from spikeproof.train.wiring import Mixture

SHAPE = (2, *CONFIG.input_shape)
IMAGES = torch.tensor(np.random.default_rng(3).integers(0, 256, SHAPE, dtype=np.uint8))


@settings(max_examples=40)
@given(plan=random_plans())
def test_random_graph_survives(plan):
    network = network_of(*plan)
    report = verify(network, to_nir(network), IMAGES)
    event(f"sums: {sum(isinstance(m, Mixture) for m in network.layers)}")
    event(f"silent layers: {len(report.silent)}")
    assert report.logit_difference <= 1e-9
