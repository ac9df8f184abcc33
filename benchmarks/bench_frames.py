"""How fast are events counted into frames, against tonic's ToFrame; and from file to cache?"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np
from harness import Goal, alternating, one_thread, ratio, report
from tonic.transforms import ToFrame

from spikeproof.datasets.aedat2 import write_aedat2
from spikeproof.datasets.events import Recording, make_events
from spikeproof.datasets.frame_cache import FOLDER, cached_frames
from spikeproof.datasets.frames import FrameConfig, to_frames
from spikeproof.datasets.recording_sets import RecordingSet, Source
from spikeproof.datasets.recordings import DVS128, read_recording

EVENTS = 200_000
RECORDINGS = 6
CONFIG = FrameConfig(steps=10, binning="time")
ROUNDS = 5


def written(folder: Path) -> RecordingSet:
    """Recordings of uniformly spread events, as files of the DVS128."""
    sources = []
    for n in range(RECORDINGS):
        rng = np.random.default_rng(n)
        t, (x, y) = np.sort(rng.integers(0, 2**21, EVENTS)), rng.integers(0, 128, (2, EVENTS))
        events = make_events(t, x, y, rng.integers(0, 2, EVENTS))
        path = folder / f"{n}.aedat"
        write_aedat2(path, Recording(events=events, height=128, width=128, source="made"))
        part = "train" if n else "test"
        sources.append(Source(path=path, label=0, part=part))
    return RecordingSet(name="bench", sources=tuple(sources), classes=("a",), sensor=DVS128)


def main() -> None:
    """Counts all recordings both ways, and once more from their files into a cache."""
    one_thread()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recordings = written(folder)
        read = [read_recording(source.path)[0] for source in recordings.sources]
        to_frame = ToFrame(sensor_size=(128, 128, 2), n_time_bins=CONFIG.steps)
        caches = iter(range(10**6))

        def ours() -> np.ndarray:
            return np.stack([to_frames(each, CONFIG) for each in read])

        def cached() -> np.ndarray:
            os.environ[FOLDER] = str(folder / f"cache{next(caches)}")
            return cached_frames(recordings, CONFIG).frames

        def tonics() -> np.ndarray:
            return np.stack([to_frame(each.events) for each in read])

        wrong = int((ours() != tonics()).sum() + (cached() != tonics()).sum())
        if wrong:
            raise SystemExit(f"{wrong} cells differ from tonic's")
        ways = {"ours": ours, "tonic": tonics, "file to cache": cached}
        seconds = alternating(ways, rounds=ROUNDS, clock=time.process_time)
    rate = RECORDINGS * EVENTS / min(seconds["file to cache"])
    print(f"events a second, from file to cache: {rate:,.0f}")
    goal = Goal(
        name="times as fast as tonic's ToFrame",
        ratio=ratio(seconds, "tonic", "ours"),
        at_least=3.0,
    )
    whole = ratio(seconds, "tonic", "file to cache")
    print(f"from file to cache, times as fast as ToFrame on events in memory: {whole:.3g}")
    details = {
        "seconds": seconds,
        "events_a_second": rate,
        "file_to_cache_against_to_frame": whole,
        "differences": wrong,
    }
    report("bench_frames", goals=[goal], details=details)


if __name__ == "__main__":
    main()
