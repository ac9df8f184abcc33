"""What the documents say is what the records hold."""

import json
from pathlib import Path

import pytest

from spikeproof.attacks.suite import suite_named
from spikeproof.audit.wording import estimate
from spikeproof.datasets.recording_sets import split_hash

ROOT = Path(__file__).parents[1]
DEMO = json.loads((ROOT / "docs" / "results" / "demo.json").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
MACHINE_PLACES = ("/usr/share/", "/home/", "/work/", "/tmp/")
PAGE = (ROOT / "docs" / "results" / "demo.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", [README, PAGE], ids=["README", "demo.md"])
def test_demo_is_shown_as_it_was_recorded(text):
    for entry in DEMO["networks"].values():
        audit, change = entry["audit"], entry["audit"]["difference"]
        shares = [audit["clean"]["float"], audit["clean"]["hardware"]]
        shares += [audit["robust"][cell] for cell in ("float_on_float", "hardware_on_hardware")]
        by = f"{change['value']:+.1f} ({change['low']:+.1f} to {change['high']:+.1f})"
        row = " | ".join([entry["label"], *map(estimate, shares), by])
        assert f"| {row} |" in text


def test_recorded_attacks_are_those_of_the_suite():
    quick = suite_named("quick")
    expected = {(m.name, m.estimator) for m in quick.members(quick.estimators)}
    for entry in DEMO["networks"].values():
        found = {(attack["name"], attack["estimator"]) for attack in entry["audit"]["attacks"]}
        assert found == expected


def test_recorded_networks_equal_lava():
    reports = [entry["parity"]["report"] for entry in DEMO["networks"].values()]
    assert [report["differences"] for report in reports] == [0, 0, 0]
    assert min(report["samples"] for report in reports) >= 20


def test_documented_split_is_the_one_in_use():
    text = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    assert split_hash() in text
    assert all(f"`{name}`" in text for name in suite_named("events").attacks)


EVENTS = {
    name: (
        json.loads((ROOT / "docs" / "results" / f"events_{name}.json").read_text(encoding="utf-8")),
        (ROOT / "docs" / "results" / f"events_{name}.md").read_text(encoding="utf-8"),
    )
    for name in ("nmnist", "aedat")
}


@pytest.mark.parametrize("name", list(EVENTS))
def test_tables_of_recordings_are_the_recorded_ones(name):
    record, text = EVENTS[name]
    for method, right in record["right"].items():
        assert f"| {name}-{method} | {right['float']} | {right['hardware']} |" in text
        assert f"right of {right['test_samples']}, float" in text
    assert all(said.endswith(" 0 differ from Lava") for said in record["parity"].values())


def test_recordings_were_attacked_by_the_suite_of_events():
    record, text = EVENTS["nmnist"]
    attacks = {attack["name"] for attack in record["audit"]["attacks"]}
    assert attacks == set(suite_named("events").attacks)
    assert all(f"| {name} |" in text for name in attacks)
    assert all(row["said"][1] != row["label"] for row in record["recordings"]["samples"])


def test_page_shows_what_was_proven():
    path = ROOT / "docs" / "results" / "certified_digits.json"
    networks = json.loads(path.read_text(encoding="utf-8"))["networks"]
    page = path.with_suffix(".md").read_text(encoding="utf-8")
    for name, key in (("vanilla", "vanilla"), ("AT", "at"), ("SR*", "srstar")):
        shares = (estimate(row["certified"]) for row in networks[key]["radii"])
        assert f"| {name} | {' | '.join(shares)} |" in page


def test_a_foreign_network_loses_at_most_a_point_at_eight_bits():
    path = ROOT / "docs" / "results" / "foreign_if.json"
    chip = json.loads(path.read_text(encoding="utf-8"))["chips"]["8"]
    for part in chip["accuracy"].values():
        assert part["float"]["value"] - part["chip"]["value"] <= 0.01
    assert all(row["negative_rail_seen"] is not None for row in chip["populations"].values())


def test_records_name_no_folder_of_a_machine():
    found = [
        path.name
        for path in (ROOT / "docs").rglob("*")
        if path.suffix in (".md", ".json")
        and any(place in path.read_text(encoding="utf-8") for place in MACHINE_PLACES)
    ]
    assert found == []
