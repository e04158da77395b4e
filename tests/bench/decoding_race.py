"""One process of the decoding benchmark: our reader, TorchCodec and OpenCV in turn on the same clips; prints JSON.

Run by test_decoding_speed.py: TorchCodec finds its FFmpeg through LD_LIBRARY_PATH, which a process cannot change for
itself.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np

from benchbed.datasets.video_io import read_frames, read_video

DRAWS = 6  # pairs of frames, as training draws them


def opencv(path: str) -> np.ndarray:
    capture = cv2.VideoCapture(path)
    count, height, width = (
        int(capture.get(what))
        for what in (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH)
    )
    frames = np.empty((count, height, width, 3), np.uint8)
    for place in frames:
        cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB, dst=place)
    return frames


def opencv_at(path: str, numbers: list[int]) -> np.ndarray:
    capture = cv2.VideoCapture(path)
    frames = []
    for number in numbers:
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        frames.append(cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB))
    return np.stack(frames)


def contestants() -> dict[str, tuple[Callable, Callable]]:
    """By name: all frames of a path, and some by number; both uint8 `[N, H, W, 3]` RGB, threads as each likes them."""
    found: dict[str, tuple[Callable, Callable]] = {
        "ours": (lambda path: read_video(path).frames, read_frames),
        "OpenCV": (opencv, opencv_at),
    }
    try:
        from torchcodec.decoders import VideoDecoder
    except (ImportError, RuntimeError, OSError):
        return found

    def opened(path: str, seek: str) -> VideoDecoder:
        return VideoDecoder(path, dimension_order="NHWC", num_ffmpeg_threads=0, seek_mode=seek)

    # its quicker way for each: exact seeking looks at all packets first
    found["TorchCodec"] = (
        lambda path: opened(path, "exact")[:].numpy(),
        lambda path, numbers: opened(path, "approximate").get_frames_at(numbers).data.numpy(),
    )
    return found


def quickest(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of the quickest round of each, all of them in turn, so that a busy machine slows all alike."""
    seconds = dict.fromkeys(calls, float("inf"))
    for turn in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn:  # the first turn warms up
                seconds[name] = min(seconds[name], time.perf_counter() - start)
    return seconds


def race(path: str, rounds: int) -> dict:
    """Seconds by name for the whole clip and for pairs of frames, and how far each one's pixels are from ours."""
    readers = contestants()
    frames = read_video(path).frames
    drawn = np.random.default_rng(0).integers(0, len(frames), (DRAWS, 2)).tolist()

    def pairs(at: Callable) -> Callable[[], object]:
        return lambda: [at(path, numbers) for numbers in drawn]

    return {
        "frames": len(frames),
        "whole": quickest(
            {name: (lambda all_=all_: all_(path)) for name, (all_, _) in readers.items()}, rounds
        ),
        "random": quickest({name: pairs(at) for name, (_, at) in readers.items()}, rounds),
        "difference": {
            name: [
                int(np.abs(all_(path).astype(int) - frames).max()),
                max(int(np.abs(at(path, n).astype(int) - frames[n]).max()) for n in drawn),
            ]
            for name, (all_, at) in readers.items()
        },
    }


if __name__ == "__main__":
    print(json.dumps({path: race(path, int(sys.argv[1])) for path in sys.argv[2:]}))
