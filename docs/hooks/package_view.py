"""The package alone, for the reader of docstrings: links to its folders, and to nothing else.

The root of the checkout is the package, so that a reader who walks through all of it would also
walk through the environment, and in circles through `.typing/spikeproof -> ..`.
"""

import shutil
from pathlib import Path
from typing import Any

VIEW = Path("build") / "api" / "spikeproof"
"""Below the checkout; mkdocs.yml names its parent under `paths`."""


def on_config(config: Any) -> Any:
    """Lays the links out before anything is read."""
    lay_out(Path(config.config_file_path).parent)
    return config


def lay_out(root: Path) -> Path:
    """Links to the folders of a checkout that Python sees as packages; where they lie."""
    view = root / VIEW
    shutil.rmtree(view, ignore_errors=True)
    view.mkdir(parents=True)
    parts = [root / "__init__.py", *(found.parent for found in root.glob("*/__init__.py"))]
    for part in parts:
        (view / part.name).symlink_to(part)
    return view
