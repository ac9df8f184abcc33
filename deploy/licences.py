"""What licences a bundle's files are under, as far as it is known here."""

import importlib.metadata
from pathlib import Path

from ..core.record import PACKAGES
from ..datasets.licences import LICENCES, NOT_STATED

LICENCE_FILE = Path(__file__).parents[1] / "LICENSE"
OURS = "Apache-2.0"
CLASSIFIER = "License :: OSI Approved :: "
LONGEST = 60
"""Of a licence's name: some packages put the whole text in its place."""


def licences(data: str | None) -> dict[str, object]:
    """Licences by what they are for, as plain data.

    Args:
        data: Kind of the data SPEC that golden samples were taken from; None where they are noise.
    """
    return {
        "what spikeproof writes (program, certificates, reports, C99, ONNX)": OURS,
        "network (weights and structure)": "its author's; spikeproof cannot know it",
        "golden samples": "drawn at random" if data is None else LICENCES.get(data, NOT_STATED),
        "made with": {name: found for name in PACKAGES if (found := licence_of(name))},
    }


def licence_of(package: str) -> str | None:
    """Name of an installed package's licence, as its metadata states it; None if not installed."""
    try:
        metadata = importlib.metadata.metadata(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    classified = [
        text.removeprefix(CLASSIFIER)
        for text in metadata.get_all("Classifier") or ()
        if text.startswith(CLASSIFIER)
    ]
    named = (metadata.get_all(key) or () for key in ("License-Expression", "License"))
    stated = [*(text for texts in named for text in texts), ", ".join(classified)]
    return next((text for text in stated if text and len(text) <= LONGEST), "not stated")
