"""Simulated recordings of any images, in the folders and under the names of CIFAR10-DVS."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from ..core.choice import chosen
from ..core.errors import ConfigError, DataError
from ..core.files import atomic_folder, write_json
from ..core.progress import SILENT, Tracker
from ..core.randomness import generator
from ..core.record import versions
from .aedat2 import write_aedat2
from .aedat4 import write_aedat4
from .dvs_camera import Camera, CameraConfig
from .events import Recording, check
from .image_data import ImageData, fingerprint
from .isolated import require
from .moving_image import INTERVAL, MotionConfig, views
from .recording_sets import OBJECTS, PartName, part_of
from .recordings import DVS128
from .simulation import CAMERA, FORMAT, SAID, SIMULATION

PER_CLASS = 1000
"""Recordings of a class in CIFAR10-DVS."""
FEWEST = 10
"""With fewer no number ends in 9, and nothing is left to test on."""


@dataclass(frozen=True, kw_only=True)
class SimulationConfig:
    """What is simulated.

    Args:
        per_class: Recordings of each class.
        format: `aedat`, as CIFAR10-DVS was published, or `aedat4`, as it is distributed today.
        camera: The pixels.
        motion: How the image moves.
        seed: Decides the thresholds of the one camera, and the noise of every recording.

    Raises:
        ConfigError: If a number is out of range or the format is unknown.
    """

    per_class: int = 100
    format: str = "aedat4"
    camera: CameraConfig = field(default_factory=CameraConfig)
    motion: MotionConfig = field(default_factory=MotionConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        chosen(WRITERS, self.format, what="a format of recordings")
        if not FEWEST <= self.per_class <= PER_CLASS:
            raise ConfigError(
                f"expected {FEWEST}..{PER_CLASS} recordings of a class, got {self.per_class}; "
                "the tenth is the first to test on, and the data set has a thousand"
            )

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "per_class": self.per_class,
            "format": self.format,
            "camera": self.camera.to_dict(),
            "motion": self.motion.to_dict(),
            "seed": self.seed,
        }


def simulate(
    config: SimulationConfig, data: ImageData, out: Path, *, tracker: Tracker = SILENT
) -> int:
    """Records images into `out/<class>/cifar10_<class>_<number>.<format>`, all or nothing.

    The k-th class goes into the folder of CIFAR10-DVS's k-th class. Numbers that end in 9, which
    the split of CIFAR10-DVS keeps for testing, are recorded from the test images, all others from
    the training images, each part in its official order.

    Args:
        config: What to simulate.
        data: Images of one or three channels, of ten classes at most.
        out: A new or empty folder, or one of simulated recordings, which is replaced.
        tracker: Where progress is reported.

    Returns:
        Number of events, of all recordings.

    Raises:
        ConfigError: If `out` holds something else, or cannot be written to.
        DataError: If the data are recordings already, have more classes, or too few images of one.
        MissingAbilityError: If the package that writes `.aedat4` is not installed.
    """
    _check(config, data)
    if config.format == "aedat4":
        require("dv-processing", "dv_processing", for_what="writing .aedat4 files")
    camera = Camera(
        config.camera,
        height=DVS128.height,
        width=DVS128.width,
        generator=generator(config.seed, "camera"),
    )
    count, write = 0, WRITERS[config.format]
    total = config.per_class * len(data.classes)
    with atomic_folder(out, marker=SIMULATION) as folder, tracker.task("recording", total) as task:
        for label, number, image in _scenes(data, config.per_class):
            recording = record_image(image, camera, config, key=(label, number))
            count += len(recording)
            name = OBJECTS[label]
            path = folder / name / f"cifar10_{name}_{number}.{config.format}"
            path.parent.mkdir(exist_ok=True)
            write(path, recording)
            task.advance(1, f"{count} events")
        write_json(folder / SIMULATION, _record(config, data, count))
    return count


def record_image(
    image: UInt8[np.ndarray, "C H W"],
    camera: Camera,
    config: SimulationConfig,
    *,
    key: tuple[int, int],
) -> Recording:
    """What the camera sends of one moving image.

    Args:
        image: One or three channels.
        camera: The same for all images.
        config: How the image moves, and the seed.
        key: Class and number, which the noise belongs to.

    Raises:
        DataError: If it sends nothing: an image without contrast, and no noise.
    """
    seen = views(image, config.motion, size=DVS128.height)
    draws = generator(config.seed, "recording", *key)
    return check(
        Recording(
            events=camera.record(seen, interval=INTERVAL, generator=draws),
            height=DVS128.height,
            width=DVS128.width,
            source=f"the simulated recording {key[1]} of class {key[0]}",
        )
    )


def _scenes(data: ImageData, per_class: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """Class, number and image of every recording."""
    images = {"train": data.train_images, "test": data.test_images}
    for label in range(len(data.classes)):
        left = {part: iter(places) for part, places in _places(data, label).items()}
        for number in range(per_class):
            part = part_of(number)
            yield label, number, images[part][next(left[part])]


def _places(data: ImageData, label: int) -> dict[PartName, np.ndarray]:
    return {
        "train": np.flatnonzero(data.train_labels == label),
        "test": np.flatnonzero(data.test_labels == label),
    }


def _check(config: SimulationConfig, data: ImageData) -> None:
    if data.steps is not None:
        raise DataError(
            f"expected images to record, got the recordings of {data.name}; name a data set of "
            "images"
        )
    if len(data.classes) > len(OBJECTS):
        raise DataError(
            f"expected at most {len(OBJECTS)} classes, one for each of CIFAR10-DVS's, got "
            f"{len(data.classes)} in {data.name}; choose another data set"
        )
    wanted = {
        part: sum(part_of(n) == part for n in range(config.per_class)) for part in ("train", "test")
    }
    for label, name in enumerate(data.classes):
        for part, places in _places(data, label).items():
            if len(places) < wanted[part]:
                raise DataError(
                    f"expected {wanted[part]} {part} images of class {name!r} in {data.name}, got "
                    f"{len(places)}; record fewer of each class"
                )


def _record(config: SimulationConfig, data: ImageData, count: int) -> dict[str, Any]:
    """What lies beside the recordings, and makes them known for what they are."""
    return {
        "format": FORMAT,
        "simulated": True,
        "said": SAID,
        "name": f"{data.name}-dvs-simulated",
        "classes": list(data.classes),
        "images": {"name": data.name, "fingerprint": fingerprint(data)},
        "config": config.to_dict(),
        "events": count,
        "versions": versions(),
    }


WRITERS: dict[str, Callable[[Path, Recording], None]] = {
    "aedat": lambda path, recording: write_aedat2(path, recording, comment=SAID),
    "aedat4": lambda path, recording: write_aedat4(path, recording, camera=CAMERA),
}
"""By format; both name in their header what they are."""
