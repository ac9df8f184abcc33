"""Every table and figure that can be reproduced: one table, a new one is an entry."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from ..core.choice import chosen
from . import costs, points, printed, robustness, slopes, transfer
from .bench import Bench
from .claims import Claims, below, falls, order, rows_rise, together
from .pictures import beside, curves
from .results import Measured, Result
from .robustness import CLEAN_COLUMN, black, white
from .scales import Block

Measure = Callable[[Bench, dict[str, str], tuple[Any, ...]], Measured]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A table or figure of the paper.

    Args:
        title: What it shows, and where the paper has it.
        blocks: Data and architecture of its parts.
        rows: By the label in the table, the method that is trained.
        columns: What `measure` fills in, in the order of the printed numbers.
        measure: One block.
        claims: What the paper says about a block.
        draw: The plot, where `measure` brings none.
        notes: What a reader has to know.
        takes_events: Whether it is about recordings, else about images.
    """

    title: str
    blocks: tuple[Block, ...]
    rows: dict[str, str]
    columns: tuple[Any, ...]
    measure: Measure
    claims: Claims = order
    draw: Callable[[Result], Figure] = beside
    notes: tuple[str, ...] = ()
    takes_events: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(getattr(column, "label", column) for column in self.columns)


VGG10 = Block(label=printed.VGG10, data="cifar", network="cifar")
WRN10 = Block(label=printed.WRN10, data="cifar", network="cifar100")
VGG100 = Block(label=printed.VGG100, data="cifar100", network="cifar")
WRN100 = Block(label=printed.WRN100, data="cifar100", network="cifar100")
DVS = Block(label=printed.DVS, data="dvs", network="dvs")

ATTACKED = (
    "Every share counts samples that are right clean and right under the attack with each of the "
    "paper's four spike derivatives (appendix E), the last iterate, for APGD any visited one; on "
    "8-bit images, with steps of 0.01 whatever the radius. The chip is attacked itself, not by "
    "what was crafted on the float network.",
)
CARRIED = (
    "Black box: attacks crafted on a network of the same layers, trained by AT with other weights "
    "and another order of the data, and carried over. The paper does not say what its source is.",
)
UNPRINTED = ("The paper draws this figure and prints no numbers for it but those in the table.",)

TARGETS: dict[str, Target] = {
    "table1": Target(
        title="Table 1: accuracy under attacks, white box and black box",
        blocks=(VGG10, WRN10, WRN100),
        rows={"RAT": "rat", "AT": "at", "SR*": "srstar"},
        columns=(
            CLEAN_COLUMN,
            *white("pgd10", "pgd30", "pgd50", "apgd10"),
            *black("pgd10", "pgd30", "pgd50", "apgd10"),
        ),
        measure=partial(robustness.measure, suite="paper"),
        notes=(
            *ATTACKED,
            *CARRIED,
            "RAT trains on the attack of AT here; which one the paper's RAT rows trained with is "
            "not known.",
        ),
    ),
    "table2": Target(
        title="Table 2: accuracy under attacks on frames of events",
        blocks=(DVS,),
        rows={"vanilla": "vanilla", "AT": "at", "SR": "sr", "SR*": "srstar"},
        columns=(CLEAN_COLUMN, *white("fgsm", "pgd50"), *black("fgsm", "pgd50")),
        measure=partial(robustness.measure, suite="paper-frames"),
        notes=(
            *ATTACKED,
            *CARRIED,
            "The published radius of 0.031 of an event is one level of 255 here, where an event "
            "is 32 levels.",
        ),
        takes_events=True,
    ),
    "table3": Target(
        title="Table 3: what adversarial training and sparsity regularisation each give",
        blocks=(WRN10, WRN100),
        rows={"vanilla": "vanilla", "AT": "at", "SR": "sr", "SR*": "srstar"},
        columns=(CLEAN_COLUMN, *white("fgsm", "rfgsm", "pgd30", "pgd50", "apgd10")),
        measure=partial(robustness.measure, suite="paper"),
        notes=ATTACKED,
    ),
    "table4": Target(
        title="Table 4: accuracy on images with uniform noise of at most 0.1",
        blocks=(WRN10, WRN100),
        rows={"vanilla": "vanilla", "SR": "sr", "SR*": "srstar"},
        columns=("noise 0.1",),
        measure=points.noise,
        notes=(
            "One draw an image, whole levels of 255; one that is wrong clean may become right.",
        ),
    ),
    "table6": Target(
        title="Table 6: PGD10 with spike derivatives of many widths",
        blocks=(VGG10,),
        rows={"RAT": "rat", "AT": "at", "SR*": "srstar"},
        columns=tuple(points.ENSEMBLES),
        measure=points.widths,
        notes=(
            "The sweep: triangles of width γ 0.1, 0.2, ..., 3.0, an image counts as right where "
            "none of the thirty changes its class.",
        ),
    ),
    "table7": Target(
        title="Table 7: what an epoch of each method costs",
        blocks=(VGG10,),
        rows={
            "vanilla": "vanilla",
            "AT": "at",
            "RAT": "rat",
            "SR": "sr",
            "SR*": "srstar",
        },
        columns=("an epoch", "against vanilla"),
        measure=costs.epochs,
        notes=(
            "Seconds depend on the machine and the number of samples; the ratio to vanilla is what "
            "can be compared. The chip's column trains the chip's own integers, as "
            "`deploy --finetune` does; RAT is not possible there. RAT attacks here as AT does, in "
            "five steps; the paper's ratio fits one.",
        ),
    ),
    "fig1": Target(
        title="Fig. 1: accuracy under random and under adversarial changes",
        blocks=(VGG10, VGG100),
        rows={"vanilla": "vanilla"},
        columns=("random", "FGSM"),
        measure=points.radii,
        claims=below(
            "FGSM", "random", "Random changes harm less than FGSM of the same radius (Obs. 1)."
        ),
        draw=curves,
        notes=(*UNPRINTED, "FGSM with the spike derivative of training, as the figure's."),
    ),
    "fig3": Target(
        title="Fig. 3: what the weight λ of the penalty does",
        blocks=(WRN10,),
        rows={"SR": "sr"},
        columns=("clean", "PGD10", "‖∇f‖₁", "‖∇f‖₂"),
        measure=slopes.sweep,
        claims=together(
            falls("clean", "Clean accuracy falls with λ."),
            falls("PGD10", "Accuracy under PGD10 rises with λ.", rises=True),
            falls("‖∇f‖₁", "The ℓ1 norm of the gradient falls with λ."),
            falls("‖∇f‖₂", "The ℓ2 norm of the gradient falls with λ."),
        ),
        draw=curves,
        notes=UNPRINTED,
    ),
    "fig4": Target(
        title="Fig. 4: how the components of the input gradient are distributed",
        blocks=(WRN10, WRN100),
        rows={"vanilla": "vanilla", "AT": "at", "SR*": "srstar"},
        columns=("components near zero",),
        measure=slopes.distribution,
        claims=rows_rise(
            "components near zero",
            "Components of SR* are more concentrated around zero than those of AT and vanilla.",
            rows=("vanilla", "AT", "SR*"),
        ),
        notes=(
            *UNPRINTED,
            "Near zero: within 5 % of the range that holds 99.9 % of the components of every "
            "network.",
        ),
    ),
    "fig5": Target(
        title="Fig. 5: where the input gradient is large",
        blocks=(WRN10,),
        rows={"vanilla": "vanilla", "SR": "sr"},
        columns=("bright pixels",),
        measure=slopes.maps,
        claims=rows_rise(
            "bright pixels",
            "Points on the maps of SR are sparser than on those of vanilla.",
            rows=("SR", "vanilla"),
        ),
        notes=(*UNPRINTED, "Bright: more than a tenth of the largest |∇f| of the map."),
    ),
    "fig6": Target(
        title="Fig. 6: what the weight λ does on CIFAR-100",
        blocks=(WRN100,),
        rows={"SR": "sr"},
        columns=("clean", "PGD10", "‖∇f‖₁", "‖∇f‖₂"),
        measure=slopes.sweep,
        claims=together(
            falls("‖∇f‖₁", "The ℓ1 norm of the gradient falls with λ."),
            falls("‖∇f‖₂", "The ℓ2 norm of the gradient falls with λ."),
        ),
        draw=curves,
        notes=UNPRINTED,
    ),
    "norms": Target(
        title="Norms: is what was learnt in one norm robust in others?",
        blocks=(VGG10, VGG100),
        rows={
            "vanilla": "vanilla",
            "SR": "sr",
            "AT ℓ∞": "at",
            "SR* ℓ∞": "srstar",
            "AT ℓ2": f"at{transfer.L2}",
            "SR* ℓ2": f"srstar{transfer.L2}",
        },
        columns=transfer.COLUMNS,
        measure=transfer.matrix,
        notes=(
            "The synthesis that asks this prints no numbers.",
            "Rule for radii: random noise in every ball is as strong as in that of ℓ∞, so that "
            "ρ_rand of a linear function is the same; of ℓ0 the number of pixels whose replacement "
            "costs as much square distance. The ℓ2 training takes the ℓ2 radius of the ℓ∞ "
            "training's.",
            "Attacks: FGSM, PGD10 and APGD10 as far as they search the norm's balls, each with the "
            "paper's four spike derivatives, any visited point, on 8-bit images.",
            "ρ ratios are medians over samples of ρ_adv/ρ_rand (Definitions 4.1 and 4.2); beside "
            "them what a linear function of the same slope has: 3·‖g‖₁²/‖g‖₂², d + 2 and "
            "(d + 1)(d + 2)/2·‖g‖∞²/‖g‖₂². ρ_adv is the largest that a search found; "
            "f jumps where spikes do, which the linear theory leaves out. The float network alone: "
            "these balls reach beyond 0 and 1, where the chip takes no image.",
        ),
    ),
}


def target_named(name: str) -> Target:
    """The target called `name`.

    Raises:
        ConfigError: If there is none.
    """
    return chosen(TARGETS, name, what="a target")
