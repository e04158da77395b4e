"""Decoding real clips, whole and two random frames at a time: our reader beside TorchCodec and OpenCV.

Of the maintained libraries these two are the quickest on these clips (decord2 and imageio-ffmpeg were slower). Each
ends with frames `[N, H, W, 3]` RGB in memory and uses threads as it likes. TorchCodec brings no FFmpeg: it is given
PyAV's, so that the same decoder is compared. The ratio (quickest library / ours) and the largest difference of
pixel values are printed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import av
import pytest

ROUNDS = 5
CLIPS = (
    "vox/lia_driving1.mp4",
    "vox/lia_driving2.mp4",
    "vox/lia_driving3.mov",
    "vox/tpsmm_driving.mp4",
    "taichi/lia_driving1.mp4",
    "taichi/lia_driving2.mp4",
    "ted/lia_driving1.mp4",
    "methods/ted_example3/driving.mp4",
)
SCRIPT = Path(__file__).with_name("decoding_race.py")


def ffmpeg_of_pyav(folder: Path) -> str:
    """A search path with PyAV's FFmpeg under its usual names; empty where it comes from the system."""
    libraries = Path(av.__file__).parent.parent / "av.libs"
    if not libraries.is_dir():
        return ""
    for library in libraries.iterdir():
        usual = re.sub(r"-[0-9a-f]{8}\.so\.(\d+).*", r".so.\1", library.name)
        (folder / usual).symlink_to(library)
    return f"{folder}:{libraries}"


@pytest.fixture(scope="module")
def results(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    searched = [ffmpeg_of_pyav(tmp_path_factory.mktemp("ffmpeg")), os.environ.get("LD_LIBRARY_PATH", "")]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(ROUNDS), *(str(shared / "data/clips" / name) for name in CLIPS)],
        env={**os.environ, "LD_LIBRARY_PATH": ":".join(filter(None, searched))},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("what", ["whole", "random"])
def test_decoding(results, capsys, what):
    seconds = {
        name: sum(clip[what][name] for clip in results.values())
        for name in next(iter(results.values()))[what]
    }
    ours = seconds.pop("ours")
    place = ["whole", "random"].index(what)
    difference = {name: max(clip["difference"][name][place] for clip in results.values()) for name in seconds}
    quickest = min(seconds, key=lambda name: seconds[name])
    with capsys.disabled():
        told = ", ".join(
            f"{name} {1000 * spent:.0f} ms (pixels differ by at most {difference[name]})"
            for name, spent in seconds.items()
        )
        title = "whole clips" if what == "whole" else "pairs of random frames"
        print(
            f"\ndecoding {title}, {len(results)} clips: ours {1000 * ours:.0f} ms, {told}: "
            f"ratio {seconds[quickest] / ours:.2f} to {quickest}"
        )
        for path, clip in results.items():
            each = ", ".join(f"{name} {1000 * spent:.0f} ms" for name, spent in clip[what].items())
            print(f"  {Path(path).parent.name}/{Path(path).name}, {clip['frames']} frames: {each}")
