"""What Liu et al. 2024 print: every number that a reproduction is held against.

By target, block and row, in the order of the target's columns. None where a figure is drawn and
no number is printed.
"""

VGG10, WRN10 = "CIFAR-10, VGG-11", "CIFAR-10, WRN-16"
VGG100, WRN100 = "CIFAR-100, VGG-11", "CIFAR-100, WRN-16"
DVS = "CIFAR10-DVS, VGG-11"

Row = tuple[float | None, ...]

PRINTED: dict[str, dict[str, dict[str, Row]]] = {
    "table1": {
        VGG10: {
            "RAT": (90.44, 11.53, 7.08, 6.41, 3.26, 43.29, 40.17, 40.16, 47.50),
            "AT": (89.97, 18.18, 14.79, 14.63, 10.36, 44.02, 43.38, 43.40, 52.90),
            "SR*": (85.91, 30.54, 28.06, 27.66, 21.91, 51.21, 50.85, 51.06, 59.87),
        },
        WRN10: {
            "RAT": (92.70, 10.52, 5.14, 4.33, 2.19, 38.35, 31.04, 30.40, 36.42),
            "AT": (90.97, 17.88, 14.89, 14.62, 9.13, 43.99, 42.09, 41.55, 52.10),
            "SR*": (85.63, 39.18, 37.04, 36.74, 29.03, 50.84, 50.23, 49.97, 57.93),
        },
        WRN100: {
            "RAT": (69.10, 5.72, 3.58, 3.26, 2.08, 22.61, 18.77, 18.26, 25.23),
            "AT": (67.37, 10.07, 8.12, 7.86, 4.88, 25.17, 23.76, 23.50, 35.96),
            "SR*": (60.37, 19.76, 18.39, 18.11, 13.32, 28.38, 28.01, 27.94, 36.69),
        },
    },
    "table2": {
        DVS: {
            "vanilla": (78.80, 22.20, 4.40, 34.00, 20.70),
            "AT": (76.80, 60.00, 51.60, 71.50, 65.50),
            "SR": (77.40, 37.30, 27.90, 44.60, 37.70),
            "SR*": (75.60, 64.60, 61.20, 72.60, 68.90),
        },
    },
    "table3": {
        WRN10: {
            "vanilla": (93.89, 5.23, 3.43, 0.00, 0.00, 0.00),
            "AT": (90.97, 33.49, 58.19, 14.89, 14.62, 9.13),
            "SR": (86.57, 34.79, 55.96, 12.27, 11.70, 8.25),
            "SR*": (85.63, 48.47, 64.65, 37.04, 36.74, 29.03),
        },
        WRN100: {
            "vanilla": (74.59, 3.51, 1.37, 0.00, 0.00, 0.00),
            "AT": (67.37, 19.07, 33.19, 8.12, 7.68, 4.88),
            "SR": (67.67, 11.15, 18.18, 0.87, 0.84, 0.47),
            "SR*": (60.37, 25.76, 36.93, 18.39, 18.11, 13.32),
        },
    },
    "table4": {
        WRN10: {"vanilla": (67.467,), "SR": (86.327,), "SR*": (81.885,)},
        WRN100: {"vanilla": (26.270,), "SR": (49.900,), "SR*": (48.678,)},
    },
    "table6": {
        VGG10: {
            "RAT": (16.16, 11.53, 11.87),
            "AT": (21.32, 18.18, 16.16),
            "SR*": (33.67, 30.54, 27.06),
        },
    },
    "table7": {
        VGG10: {
            "vanilla": (65.0, 1.0),
            "AT": (459.0, 459 / 65),
            "RAT": (134.0, 134 / 65),
            "SR": (193.0, 193 / 65),
            "SR*": (583.0, 583 / 65),
        },
    },
    "fig1": {},
    "fig3": {
        WRN10: {
            "λ = 0": (93.89, 0.0, None, None),
            "λ = 0.008": (86.57, 16.0, None, None),
        },
    },
    "fig4": {},
    "fig5": {},
    "norms": {},
    "fig6": {WRN100: {"λ = 0": (74.59, None, None, None), "λ = 0.002": (67.67, None, None, None)}},
}
"""Fig. 3 has the numbers that its text gives (section 5.4: from zero to 16 %), and with Fig. 6 the
clean accuracies of the same networks in Table 3. The ratios of Table 7 are the paper's seconds,
divided."""


def printed(target: str, block: str, row: str, place: int) -> float | None:
    """The paper's number in a column; None where there is none."""
    values = PRINTED[target].get(block, {}).get(row)
    return None if values is None else values[place]
