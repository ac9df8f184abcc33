"""A page about robustness against bits, from what `bits_curve.py` measured."""

from typing import Any


def _percent(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    return f"{found['value']:.1%} ({found['low']:.1%} to {found['high']:.1%})"


def _ratio(found: dict[str, Any]) -> str:
    if found["value"] is None:
        return "none"
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def _points(found: dict[str, Any]) -> str:
    return f"{100 * found['value']:+.1f} ({100 * found['low']:+.1f} to {100 * found['high']:+.1f})"


def table(result: dict[str, Any]) -> str:
    """The rows for people."""
    head = (
        "| | clean | white box | transfer from float | survival | difference in points "
        "| against float fine-tuned |"
    )
    lines = [head, "|---|---|---|---|---|---|---|"]
    for name, row in result["rows"].items():
        own, tuned = row["against_float"], row["against_float-tuned"]
        cells = [
            name,
            _percent(row["clean"]),
            _percent(row["white_box"]),
            _percent(row.get("transfer_from_float")),
            _ratio(own["survival"]),
            _points(own["difference"]),
            _ratio(tuned["survival"]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _kept(result: dict[str, Any]) -> str:
    """At which bits fine-tuning found no better chip, so that the untuned one stands in its row."""
    bits = [
        name.removeprefix("tuned-")
        for name, row in result["rows"].items()
        if isinstance(row["how"].get("finetuning", {}).get("kept"), str)
    ]
    if not bits:
        return "At every number of bits a fine-tuned chip was better on them than the untuned one."
    return (
        f"At {', '.join(bits)} bits no fine-tuned chip was better on them than the untuned one, "
        "which was kept\nand stands in either row."
    )


def _radius(epsilon: float) -> str:
    """In levels of 255 where it is a whole number of them, as `--epsilon` takes it back."""
    levels = 255 * epsilon
    is_whole = abs(levels - round(levels)) < 1e-6
    return f"{round(levels)}/255" if is_whole else f"{epsilon:.4g}"


def prose(asked: dict[str, Any], result: dict[str, Any]) -> str:
    """The page: what was asked, the table, which goals are met."""
    tuning, images = asked["tuning"], asked["images"]
    goals = [
        f"- {goal['bits']} bits, fine-tuned: survival {_ratio(goal['survival'])}, at least "
        f"{goal['at_least']} wanted: {'met' if goal['is_met'] else 'MISSED'}"
        for goal in result["goals"]
    ]
    return "\n".join(
        [
            f"# Robustness against bits: {asked['data']['name']}",
            "",
            f"First {asked['n']} test samples, ε = {_radius(asked['epsilon'])} on the uint8 "
            f"lattice; PGD10 and APGD10 as published under {', '.join(asked['estimators'])}; a "
            "sample counts where it is right clean and under all eight.\n"
            "White box: crafted on the row's own model. Survival and difference: white box on the "
            "chip against\nwhite box on the float network, the same samples; 95 % intervals.",
            "",
            f"Fine-tuning: {tuning['epochs']} epochs of {tuning['method']} from "
            f"{images['learnt from']} training samples, learning rate\n"
            f"{tuning['learning_rate']}, λ = {tuning['penalty_weight']}, "
            f"h = {tuning['penalty_step']:.4g}, attack ε = {_radius(tuning['epsilon'])} in "
            f"{tuning['attack_steps']} steps; {images['held out']} held-out training samples\n"
            "choose scales and epoch. `float-tuned` had the same.",
            _kept(result),
            "",
            table(result),
            "",
            *goals,
            "",
            "Command, commit, versions, seeds and every number: the `.json` beside this file.",
            "",
        ]
    )
