import json
from dataclasses import replace

import numpy as np
import pytest

from spikeproof.core.errors import MisfitError
from spikeproof.deploy.chip_file import chip_named
from spikeproof.deploy.fit import fit, lines, require_fit
from spikeproof.deploy.placement import place
from spikeproof.sim.program import Population, Program, Source, Synapse
from spikeproof.tests.deploy.large_programs import vgg11, wrn16_4

LOIHI1, LOIHI2 = chip_named("loihi1"), chip_named("loihi2")


def small(source=None, population=None, synapse=None):
    """Three inputs and two neurons, fields of each changed."""
    weight = np.array([[1, -2, 3], [4, 5, -6]], np.int32)
    return Program(
        sources=(Source(**{"name": "x", "shape": (3,)} | (source or {})),),
        populations=(Population(**{"name": "a", "shape": (2,), "vth": 9} | (population or {})),),
        synapses=(Synapse(**{"source": "x", "target": "a", "weight": weight} | (synapse or {})),),
        outputs=("a",),
    )


def test_a_small_network_fits_a_core():
    found = fit(small(), LOIHI1)
    assert (found.misfits, found.placement.cores, found.placement.chips(LOIHI1)) == ((), 1, 1)
    require_fit(found)


MISFITS = {
    "x: payloads -1..5 of binary spikes": {"source": {"low": -1, "high": 5, "message_bits": 4}},
    "a: thresholds 0..131072 of 0..131071 (17 bits)": {"population": {"vth": 131072}},
    "a: decays 0..4097 of 0..4096 (12 bits)": {"population": {"du": 4097}},
    "a: bias mantissas -4097..0 of -4096..4095 (13 bits)": {
        "population": {"bias": np.array([-4097, 0], np.int32)}
    },
    "a: weights from x -2..255 of -256..254 (8 bits)": {
        "synapse": {"weight": np.array([[255, -2, 1]] * 2, np.int32)}
    },
    "a: delays from x 0..63 of 0..62 (6 bits)": {"synapse": {"delay": 63}},
}


@pytest.mark.parametrize("text", MISFITS)
def test_what_a_field_does_not_hold_is_named(text):
    (misfit,) = fit(small(**MISFITS[text]), LOIHI1).misfits
    assert f"{misfit.node}: {misfit.what}" == text


NO_FIELD = {
    "bias_bits": "a: bias mantissas -7..0 of 0..0 (0 bits)",
    "delay_bits": "a: delays from x 0..1 of 0..0 (0 bits)",
}


@pytest.mark.parametrize("field", NO_FIELD)
def test_a_chip_without_a_field_holds_0_in_it(field):
    chip = replace(LOIHI1, **{field: 0})
    assert fit(small(), chip).misfits == ()
    program = small(population={"bias": np.array([-7, 0], np.int32)}, synapse={"delay": 1})
    (misfit,) = fit(program, chip).misfits
    assert f"{misfit.node}: {misfit.what}" == NO_FIELD[field]


def test_a_misfit_is_refused_where_a_fit_is_required():
    with pytest.raises(MisfitError, match="to fit Intel Loihi, got a: thresholds .*; .* smaller"):
        require_fit(fit(small(population={"vth": 1 << 18}), LOIHI1))


def test_what_is_not_published_is_not_checked():
    chip = replace(LOIHI1, threshold_bits=None, cores=None)
    found = fit(small(population={"vth": 1 << 18}), chip)
    assert (found.misfits, found.placement.chips(chip)) == ((), None)
    assert found.to_json()["not_published"] == ["cores", "threshold_bits"]


def test_fit_of_vgg_11_agrees_with_a_count_by_hand():
    placement = place(vgg11(), LOIHI2)
    by_name = dict(zip("01234567abc", placement.tilings, strict=True))
    # 64·32·32 neurons, 8192 a core.
    assert by_name["0"].count == 64 * 32 * 32 // 8192
    # 4096 rows of 8192 bytes and a state of 8 bytes, 192 KB a core: 23 of them.
    assert by_name["a"].demand.memory_bits == 23 * (8192 * 8 + 64)
    assert by_name["a"].count == -(-4096 // 23)
    # 4096 rows of 4096 bytes: 47.
    assert (by_name["b"].box, by_name["b"].count) == ((47,), -(-4096 // 47))
    assert placement.chips(LOIHI2) == -(-placement.cores // 128) == 4


def test_fit_of_wrn_16_4_agrees_with_a_count_by_hand():
    program = wrn16_4()
    found = fit(program, LOIHI2)
    neurons = 16 * 1024 + 6 * 64 * 1024 + 6 * 128 * 256 + 6 * 256 * 64 + 10
    assert sum(p.size for p in program.populations) == neurons
    # The last stage's second convolutions: 256 kernels of 256·3·3 and 256 shortcuts, 8 bits each.
    last = found.placement.tilings[-2]
    channels = last.box[0]
    stored = channels * (256 * 9 + 256) * 8
    assert last.demand.memory_bits == stored + last.demand.neurons * 64
    assert last.count == -(-256 // channels) * (64 // (last.box[1] * last.box[2]))
    assert found.placement.cores >= -(-neurons // 8192)
    assert found.placement.chips(LOIHI2) == 1


def test_boxes_share_cores_where_they_fit():
    first = small()
    more = tuple(replace(first.populations[0], name=f"b{k}") for k in range(5))
    synapses = tuple(replace(first.synapses[0], target=p.name) for p in more)
    program = replace(
        first,
        populations=(*first.populations, *more),
        synapses=(*first.synapses, *synapses),
    )
    placement = place(program, replace(LOIHI1, neurons_per_core=4))
    assert (placement.cores_alone, placement.cores) == (6, 3)


def test_recurrent_populations_are_placed():
    loop = Synapse(source="a", target="a", weight=np.array([[0, 1], [-1, 0]], np.int32))
    program = replace(small(), synapses=(*small().synapses, loop))
    (tiling,) = place(program, replace(LOIHI1, neurons_per_core=1)).tilings
    assert (tiling.count, tiling.demand.output_axons, tiling.demand.input_axons) == (2, 2, 5)


def test_a_report_is_plain_data_and_readable():
    report = fit(small(population={"vth": 1 << 18}), LOIHI2).to_json()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    text = "\n".join(lines(report))
    assert "loihi2: 1 chips, 1 cores" in text
    assert "does not fit: a: thresholds" in text
    assert "not published, not checked: input_axons_per_core" in text
