"""Adversarial recordings of an audit: event files that fool the chip, in the data set's layout."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8

from ..attacks.lattice import LEVELS
from ..core.axes import frames_to_stacks
from ..core.decision import predictions
from ..core.errors import ConfigError, DataError, NotEqualError
from ..core.files import atomic_folder, check_replaceable, write_json
from ..core.progress import SILENT, Tracker
from ..datasets.changed_sets import (
    changed_sample,
    check_changeable,
    samples_to_test,
    write_changed_set,
)
from ..datasets.event_data import FINDERS, find_recordings
from ..datasets.frame_cache import frames_of
from ..datasets.frames import FrameConfig
from ..datasets.recording_sets import RecordingSet
from ..datasets.spec import EVENT_KINDS, form, parse_spec
from ..datasets.write_back import Changed
from .again import VICTIM, Member, again, on_events, ranked
from .config import AuditConfig
from .ledger import Ledger
from .plan import Plan
from .samples import Samples

FORMAT = "spikeproof recordings 1"
MANIFEST = "recordings.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class Origin:
    """The data set that an audit attacks, as files.

    Args:
        kind: Its kind in a data SPEC.
        folder: Where it lies.
        found: Its recordings.
        frames: How they become frames.
    """

    kind: str
    folder: Path
    found: RecordingSet
    frames: FrameConfig


@dataclass(frozen=True, kw_only=True, eq=False)
class Written:
    """A sample that is written.

    Args:
        by: What attacked it; None where it stays as it is.
        frames: What it shows.
        changed: It as events.
        refused: By stronger attack, why no recording shows what that made of it.
    """

    by: Member | None
    frames: UInt8[np.ndarray, "T P H W"]
    changed: Changed
    refused: Mapping[str, str]


def origin(
    spec: str,
    frames: FrameConfig | None,
    config: AuditConfig,
    out: Path,
    *,
    mend: bool = False,
) -> Origin:
    """The recordings behind a data SPEC, before the audit: what cannot be written is refused.

    Args:
        spec: Of the audited data.
        frames: How recordings become frames; None of images.
        config: Of the audit.
        out: Where they will be written.
        mend: Whether damaged ones were mended.

    Raises:
        ConfigError: If the suite changes no events, the data are images or cannot be written, their
            bins shift with the events, or `out` is another folder than one of ours.
        DataError: If recordings are missing.
    """
    if not config.attacks.needs_frames:
        raise ConfigError(
            f"expected a suite that changes whole events, got {config.suite!r}; use --suite events"
        )
    source = parse_spec(spec)
    if source.kind not in FINDERS or source.path is None or frames is None:
        kinds = ", ".join(form(kind, what) for kind, what in EVENT_KINDS.items())
        raise ConfigError(f"expected recordings among {kinds} to write back, got {spec}; use them")
    if frames.binning != "time":
        raise ConfigError(
            "expected bins of equal time to write recordings back, got bins of equally many "
            "events, which shift where their number changes; train with --set frame_binning=time"
        )
    check_replaceable(out, MANIFEST)
    found = find_recordings(source.kind, source.path, mend=mend)
    check_changeable(found)
    return Origin(kind=source.kind, folder=source.path, found=found, frames=frames)


def write_recordings(
    plan: Plan,
    ledger: Ledger,
    origin: Origin,
    out: Path,
    *,
    fingerprint: str,
    tracker: Tracker = SILENT,
) -> dict[str, Any]:
    """Writes the audit's test samples as the strongest attack on the chip's events left them.

    A sample that the chip gets wrong as it is stays as it is. Files are read back and the chip is
    asked again before the folder gets its name.

    Args:
        plan: Of the audit.
        ledger: Its rows.
        origin: The data set.
        out: A data set of the same kind afterwards, with `recordings.json`, which is returned.
        fingerprint: Of the audit.
        tracker: Shows progress.

    Raises:
        DataError: If no recording shows what any of the attacks made of a sample.
        NotEqualError: If a file, read back, is not what the attack showed.
    """
    written = _written(plan, ledger, origin, tracker)
    tests = samples_to_test(origin.found)
    with atomic_folder(out, marker=MANIFEST) as folder:
        changed = {tests[place]: each.changed for place, each in written.items()}
        write_changed_set(origin.found, origin.folder, folder, changed)
        _check_files(origin, folder, written)
        manifest = {
            "format": FORMAT,
            "audit": fingerprint,
            "kind": origin.kind,
            "frames": origin.frames.to_dict(),
            "attacked": plan.targets[VICTIM].name,
            "samples": _rows(plan, origin, written),
        }
        write_json(folder / MANIFEST, manifest)
    return manifest


def summary(manifest: Mapping[str, Any], out: Path) -> str:
    """What was written, in a line."""
    rows = manifest["samples"]
    right = sum(row["said"][1] == row["label"] for row in rows)
    changes = [row["added"] + row["removed"] for row in rows if row["attack"] is not None]
    middle = f", the middle one by {int(np.median(changes))} events" if changes else ""
    return (
        f"wrote {out}: {len(rows)} test recordings, {len(changes)} of them changed{middle}; the "
        f"chip gets {right} right"
    )


class _Samples:
    """Samples that are written, and what stood against those that are not yet."""

    def __init__(self, origin: Origin, count: int) -> None:
        self._origin, self._tests = origin, samples_to_test(origin.found)
        self._refused: dict[int, dict[str, str]] = {place: {} for place in range(count)}
        self.done: dict[int, Written] = {}

    def take(self, place: int, member: Member | None, stack: UInt8[np.ndarray, "TC H W"]) -> None:
        """Makes a recording of what an attack, or none, shows; notes why where there is none."""
        config = self._origin.frames
        frames = stack.reshape(config.steps, -1, *stack.shape[1:])
        refused = self._refused[place]
        try:
            changed = changed_sample(self._origin.found, self._tests[place], frames, config)
        except DataError as error:
            refused[_name(member) or "none"] = str(error)
            return
        self.done[place] = Written(by=member, frames=frames, changed=changed, refused=refused)

    def finished(self) -> dict[int, Written]:
        """All of them.

        Raises:
            DataError: If one is not written.
        """
        for place, refused in self._refused.items():
            if place not in self.done:
                raise DataError(
                    f"expected a recording of test sample {place} under attack, got none: "
                    f"{next(iter(refused.values()))}"
                )
        return self.done


def _written(plan: Plan, ledger: Ledger, origin: Origin, tracker: Tracker) -> dict[int, Written]:
    """Each sample as the strongest attack left it whose frames a recording can have."""
    members, samples = on_events(ledger), _Samples(origin, len(plan.samples))
    order = ranked(ledger, members)
    for place in np.flatnonzero(~ledger.clean_right[VICTIM]).tolist():
        samples.take(place, None, plan.samples.images[place])
    with tracker.task("recordings", order.size) as task:
        for turn in order:
            for number, member in enumerate(members):
                places = np.flatnonzero(turn == number)
                left = places[[place not in samples.done for place in places.tolist()]]
                for place, stack in _points(plan, member, left):
                    samples.take(place, member, stack)
                task.advance(len(places))
    return samples.finished()


def _points(
    plan: Plan, member: Member, places: Int64[np.ndarray, " chosen"]
) -> Iterator[tuple[int, UInt8[np.ndarray, "TC H W"]]]:
    """What an attack on the chip shows of samples."""
    if not len(places):
        return
    size = plan.config.batch_size
    for batch in plan.samples.at(places).batches(size, device=plan.device):
        shown = again(plan.config, member, batch, plan.targets[VICTIM]).shown[: batch.count]
        stacks = (shown * LEVELS).round().to(torch.uint8).cpu().numpy()
        yield from zip(batch.keys.tolist(), stacks, strict=False)


def _check_files(origin: Origin, folder: Path, written: Mapping[int, Written]) -> None:
    """Reads the folder as a data set: every sample has to be what the attack showed.

    Raises:
        NotEqualError: If one is not.
    """
    places = {
        (source.path.relative_to(origin.folder), source.window): place
        for place, source in enumerate(samples_to_test(origin.found))
    }
    found, seen = FINDERS[origin.kind](folder), set()
    for source in samples_to_test(found):
        place = places.get((source.path.relative_to(folder), source.window))
        if place is None or place not in written:
            continue
        (frames,), _ = frames_of([source], found.sensor, origin.frames, False)
        if not np.array_equal(frames, written[place].frames):
            raise NotEqualError(
                f"expected {source.path} to hold what the attack showed, got other frames; report "
                "this"
            )
        seen.add(place)
    if seen != written.keys():
        raise NotEqualError(
            f"expected all of {len(written)} recordings in {folder}, got {len(seen)}; report this"
        )


def _rows(plan: Plan, origin: Origin, written: Mapping[int, Written]) -> list[dict[str, Any]]:
    """What `recordings.json` says of each sample."""
    places = np.array(sorted(written), dtype=np.int64)
    clean = plan.samples.at(places)
    stacks = np.stack([frames_to_stacks(written[k].frames[None])[0] for k in places.tolist()])
    shown = replace(clean, images=stacks)
    said = [_said(plan, samples) for samples in (clean, shown)]
    tests = samples_to_test(origin.found)
    return [
        {
            "sample": place,
            "file": tests[place].path.relative_to(origin.folder).as_posix(),
            "window": tests[place].window,
            "label": int(plan.samples.labels[place]),
            "attack": _name(written[place].by),
            "added": written[place].changed.added,
            "removed": written[place].changed.removed,
            "said": [before, after],
            "refused": dict(written[place].refused),
        }
        for place, before, after in zip(places.tolist(), *said, strict=True)
    ]


def _said(plan: Plan, samples: Samples) -> list[int]:
    """Classes that the chip names."""
    found: list[int] = []
    for batch in samples.batches(plan.config.batch_size, device=plan.device):
        with torch.no_grad():
            classes = predictions(plan.targets[VICTIM](batch.images))
        found += classes[: batch.count].tolist()
    return found


def _name(member: Member | None) -> str | None:
    return None if member is None else " ".join(filter(None, member))
