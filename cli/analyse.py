"""`spikeproof analyse`: why a network is robust, and what training for it costs and gives."""

import typer

from .analyse_gradients import heatmap, histogram, norms, vulnerability
from .analyse_norms import norm_transfer
from .analyse_trainings import cost, methods, pairs, sweep

analyse = typer.Typer(
    help="Measures input gradients, vulnerability, sweeps over λ, and what methods cost and give.",
    no_args_is_help=True,
)
for command in (
    norms,
    vulnerability,
    histogram,
    heatmap,
    sweep,
    cost,
    methods,
    pairs,
    norm_transfer,
):
    analyse.command()(command)
