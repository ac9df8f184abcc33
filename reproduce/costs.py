"""Table 7: seconds that an epoch takes, of the float network and of training on the chip itself."""

from ..analysis.cost import cost
from ..datasets.images import fingerprint
from ..deploy.chip_network import ChipNetwork
from ..deploy.finetune import recipe as tuning
from ..deploy.lower import lower
from ..deploy.quantize import Precision, quantize
from ..sim.graph.file import read_nir
from ..sim.graph.meta import read_meta
from ..train.config import Recipe
from ..train.methods import method as method_named
from .bench import Bench
from .results import Found, Measured, Number


def epochs(bench: Bench, rows: dict[str, str], columns: tuple[str, ...]) -> Measured:
    """Seconds an epoch, and how often the first row's that is."""
    recipes = {row: bench.recipe(name) for row, name in rows.items()}
    on_chip = {
        row: _on_chip(bench, recipe)
        for row, recipe in recipes.items()
        # RAT pulls at layers, and the chip's numbers are none.
        if not method_named(recipe.train.method).is_orthogonal
    }
    sides = {
        "on_float": _timed(bench, "float", recipes),
        "on_chip": _timed(bench, "chip", on_chip),
    }
    found = []
    for row in rows:
        for column, key, unit in zip(
            columns, ("seconds_per_epoch", "relative"), ("s", "×"), strict=True
        ):
            numbers = {
                side: Number(value=times[row][key]) if row in times else None
                for side, times in sides.items()
            }
            found.append(Found.of(row, column, numbers, unit=unit))
    return Measured(found=tuple(found))


def _timed(bench: Bench, where: str, recipes: dict[str, Recipe]) -> dict[str, dict[str, float]]:
    store = bench.store
    asked = {
        "trained": where,
        "trainings": {row: recipe.train.to_dict() for row, recipe in recipes.items()},
        "data": fingerprint(store.data),
        "device": store.device,
        "epochs": bench.scale.timed,
        "block": bench.block.label,
    }

    def measure() -> dict[str, dict[str, float]]:
        rows = cost(
            recipes,
            store.data,
            device=store.device,
            epochs=bench.scale.timed,
            network=None if where == "float" else lambda: _chip(bench),
            tracker=store.tracker,
        )
        return {row.pop("method"): row for row in rows}

    return store.kept("cost", asked, measure)


def _on_chip(bench: Bench, recipe: Recipe) -> Recipe:
    """The same method as `deploy --finetune` trains it."""
    config = recipe.train
    used = tuning(config.epochs, epsilon=config.validation_epsilon, seed=config.seed, base=config)
    return Recipe(train=used, network=recipe.network)


def _chip(bench: Bench) -> ChipNetwork:
    """The integers of the first row's network as something to train."""
    graph = read_nir(bench.store.exported(bench.recipe("vanilla")))
    network, precision = lower(graph, read_meta(graph)), Precision()
    _, scales = quantize(network, precision=precision, factors={})
    chip = ChipNetwork(network, precision=precision, scales=scales)
    return chip.to(bench.store.device)
