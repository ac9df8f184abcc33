import re
import xml.etree.ElementTree as ET

import pytest

from spikeproof.audit.report.plots import curve_plot, rate_plot


@pytest.fixture
def curve(finished):
    return curve_plot(finished)


def test_plot_is_well_formed_and_scales(curve):
    root = ET.fromstring(curve)
    assert root.tag.endswith("svg")
    assert "viewBox" in root.attrib
    assert "width" not in root.attrib


def test_plot_takes_its_colours_from_the_page(curve):
    assert {"var(--float)", "var(--chip)", "currentColor"} <= set(
        re.findall(r"var\(--\w+\)|currentColor", curve)
    )
    assert not re.search(r"#[0-9a-f]{6}\b", re.sub(r'"#[^"]*"|url\(#[^)]*\)', "", curve))


def test_plot_names_axes_and_models(curve):
    texts = "".join(ET.fromstring(curve).itertext())
    assert all(word in texts for word in ("float network", "simulated chip", "levels of 255"))


def test_plot_of_another_norm_shows_radii(finished):
    points = [{**point, "epsilon": 10 * point["epsilon"]} for point in finished["curve"]]
    drawn = curve_plot({**finished, "norm": "l2", "epsilon": 0.3, "curve": points})
    texts = "".join(ET.fromstring(drawn).itertext())
    assert "radius of the l2 ball" in texts
    assert f"{points[-1]['epsilon']:.3g}" in texts


def test_rate_plot_names_layers_of_either_model(finished):
    texts = "".join(ET.fromstring(rate_plot(finished["rates"])).itertext())
    assert "conv1" in texts
    assert "relay" in texts


def test_layer_names_are_no_formulas():
    rates = {"float": [{"layer": "$x_1$ <&>", "rate": 0.5}], "hardware": []}
    assert "$x_1$ <&>" in "".join(ET.fromstring(rate_plot(rates)).itertext())
