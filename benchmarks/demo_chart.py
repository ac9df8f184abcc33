"""Draws docs/demo.svg from docs/results/demo.json: what is left of accuracy, in float and on chip.

Written by hand and not by a library, so that equal numbers give equal bytes.
"""

import json
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1] / "docs"
RECORD, CHART = DOCS / "results" / "demo.json", DOCS / "demo.svg"

ORDER = ("vanilla", "at", "srstar")
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 330, 56, 54, 44
GROUP, BAR = 216, 40
BARS = (
    ("clean", "float", "clean, float", "#b9c7dd"),
    ("clean", "hardware", "clean, chip", "#8fa6c9"),
    ("robust", "float_on_float", "robust, float", "#f0b27a"),
    ("robust", "hardware_on_hardware", "robust, chip", "#d35400"),
)
"""Entries of an audit, what they are called, and their colours."""
STYLE = 'font-family="sans-serif" font-size="13" fill="#444"'
GREY = 'stroke="#8886" stroke-width="1"'


def chart(record: dict[str, Any]) -> str:
    """The picture of a demo's record, as SVG."""
    networks = [record["networks"][name] for name in ORDER]
    first = networks[0]["audit"]
    title = f"Accuracy on {first['n']} test images, ±{round(255 * first['epsilon'])}/255 a pixel"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{title}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#fff"/>',
        *_axis(),
        *(_legend(number, *bar[2:]) for number, bar in enumerate(BARS)),
        *(line for number, entry in enumerate(networks) for line in _group(number, entry)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _y(share: float) -> float:
    return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)


def _axis() -> list[str]:
    lines = []
    for percent in range(0, 101, 25):
        y = _y(percent / 100)
        lines.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - 16}" {GREY}/>')
        lines.append(
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" {STYLE}>{percent} %</text>'
        )
    return lines


def _legend(number: int, name: str, colour: str) -> str:
    x = LEFT + 160 * number
    return (
        f'<rect x="{x}" y="18" width="14" height="14" fill="{colour}"/>'
        f'<text x="{x + 20}" y="30" {STYLE}>{name}</text>'
    )


def _group(number: int, entry: dict[str, Any]) -> list[str]:
    """A network's bars, each with its interval and its number."""
    start, lines = LEFT + 26 + GROUP * number, []
    for place, (kind, cell, _, colour) in enumerate(BARS):
        found, x = entry["audit"][kind][cell], start + (BAR + 2) * place
        top, middle = _y(found["value"]), x + BAR / 2
        size = f'width="{BAR}" height="{_y(0) - top:.1f}"'
        lines += [
            f'<rect x="{x}" y="{top:.1f}" {size} fill="{colour}"/>',
            f'<path d="M{middle} {_y(found["low"]):.1f}V{_y(found["high"]):.1f}" stroke="#222"/>',
            f'<text x="{middle}" y="{_y(0) - 6:.1f}" text-anchor="middle" {STYLE}>'
            f"{100 * found['value']:.1f}</text>",
        ]
    name = f'<text x="{start + 2 * BAR}" y="{HEIGHT - 16}" text-anchor="middle" {STYLE}>'
    return [*lines, f"{name}{entry['label']}</text>"]


if __name__ == "__main__":
    CHART.write_text(chart(json.loads(RECORD.read_text(encoding="utf-8"))), encoding="utf-8")
