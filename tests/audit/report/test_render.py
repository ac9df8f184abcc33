import copy
import html
import re
from html.parser import HTMLParser

import pytest

from spikeproof.audit.report import render
from spikeproof.audit.verdict import sentences
from spikeproof.audit.wording import percent, plain, points
from spikeproof.core.errors import FormatError

VOID = {"meta", "br", "link", "img", "path", "use"}


class Tags(HTMLParser):
    """Collects elements and checks that they nest."""

    def __init__(self):
        super().__init__()
        self.open, self.found = [], []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture
def page(finished):
    return render(finished)


@pytest.fixture
def tags(page):
    parser = Tags()
    parser.feed(page)
    assert not parser.open
    return parser.found


def intervals(value):
    """Every `{value, low, high}` of shares below `value`."""
    if isinstance(value, dict):
        if {"value", "low", "high"} <= set(value):
            return [value] if value["value"] is not None else []
        return [found for child in value.values() for found in intervals(child)]
    return (
        [found for child in value for found in intervals(child)] if isinstance(value, list) else []
    )


def test_page_holds_every_interval(finished, page):
    text = html.unescape(page)
    shares = [s for key, part in finished.items() if key != "difference" for s in intervals(part)]
    assert len(shares) > 15
    for share in shares:
        assert percent(share["value"]) in text
        assert f"{100 * share['low']:.1f} to {100 * share['high']:.1f}" in text
    assert all(points(finished["difference"][k]) in text for k in ("value", "low", "high"))


def test_page_holds_every_attack_alarm_and_rate(finished, page):
    text = html.unescape(page)
    for attack in finished["attacks"]:
        assert attack["name"] in text
        assert all(percent(value) in text for value in attack["accuracy"].values())
    for alarm in finished["alarms"]:
        assert alarm["meaning"] in text
        assert plain(alarm["value"]) in text
    for row in [*finished["rates"]["float"], *finished["rates"]["hardware"]]:
        assert row["layer"] in text
        assert plain(row["rate"]) in text


def test_page_holds_the_verdict_and_the_setup(finished, page):
    text = html.unescape(page)
    assert all(sentence in text for sentence in sentences(finished))
    assert all(version in text for version in finished["versions"].values())
    assert finished["fingerprint"] in text
    assert finished["context"]["bundle"]["model.net"] in text


def test_page_escapes_what_it_is_given(finished):
    audit = copy.deepcopy(finished)
    attack = "<script>alert('x')</script>"
    audit["targets"]["float"] = audit["context"]["network"] = attack
    audit["rates"]["float"][0]["layer"] = audit["attacks"][0]["name"] = attack
    page = render(audit)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_page_asks_nothing_of_the_network(tags, page):
    loading = {"script", "link", "iframe", "object", "embed", "audio", "video"}
    assert not loading & {tag for tag, _ in tags}
    for _, attributes in tags:
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png;base64,"))
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_tables_have_captions_and_scopes(tags):
    names = [tag for tag, _ in tags]
    assert names.count("table") == names.count("caption") > 5
    assert all("scope" in attributes for tag, attributes in tags if tag == "th")


def test_plots_are_labelled_and_their_ids_unique(tags):
    plots = [attributes for tag, attributes in tags if tag == "svg"]
    assert len(plots) == 2
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in plots)
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_page_is_the_same_every_time(finished, page):
    assert render(finished) == page


def test_page_shows_raised_and_unmeasured_alarms(finished):
    audit = copy.deepcopy(finished)
    audit["alarms"][0]["raised"] = True
    audit["alarms"][3].update(raised=None, value=None, reason="the curve is too short")
    page = render(audit)
    assert 'class="verdict alarmed"' in page
    assert "not measured</span><br>the curve is too short" in page


def test_page_without_rates_and_extras_says_so(finished):
    audit = copy.deepcopy(finished)
    audit["rates"] = {"float": [], "hardware": []}
    audit["robust_continuous_float"] = None
    audit["survival"] = {"value": None, "low": None, "high": None, "reason": "too low to tell"}
    page = render(audit)
    assert "Not measured in this audit." in page
    assert "off the 8-bit lattice" not in page
    assert "too low to tell" in page


def test_foreign_audit_is_refused(finished):
    with pytest.raises(FormatError, match="the key 'verdict'|the key 'alarms' at audit"):
        render({key: value for key, value in finished.items() if key != "alarms"})
