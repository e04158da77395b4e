"""Drawn originals and the field's preprocessing read plainly, for the tests of `benchbed data prepare`."""

from __future__ import annotations

import csv
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from benchbed.datasets.prepare.preparation import prepare as prepare_root
from benchbed.datasets.prepare.report import Report
from benchbed.datasets.standard.card import standard_card
from benchbed.datasets.standard.manifest import content_sha256

SIDE = 32
COLUMNS = ("video_id", "start", "end", "bbox", "fps", "width", "height", "partition")


def drawn(count: int, height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    """Frames that all differ, with detail that a resize has to filter."""
    rows, columns = np.mgrid[:height, :width]
    frames = np.empty((count, height, width, 3), np.uint8)
    for index in range(count):
        frames[index, ..., 0] = (rows * 3 + index * 5 + seed) % 256
        frames[index, ..., 1] = (columns * 7 + index) % 256
        frames[index, ..., 2] = ((rows + columns) % 2) * 200 + index % 50
    return frames


def write_lossless(
    path: Path,
    frames: np.ndarray,
    rate: Fraction | int = 25,
    *,
    key_every: int = 12,
    times: list[int] | None = None,
) -> None:
    """An mp4 of H.264 in RGB, quantiser 0: what is decoded is what was drawn.

    Args:
        times: of every frame, in 1/1000 s, for a variable rate.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), mode="w") as container:
        stream = container.add_stream("libx264rgb", rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "rgb24"
        stream.options = {"qp": "0", "preset": "ultrafast", "g": str(key_every)}
        if times is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            if times is not None:
                picture.pts, picture.time_base = times[index], Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def write_metadata(path: Path, rows: list[dict], columns: tuple[str, ...] = COLUMNS) -> Path:
    """A metadata CSV in the field's columns."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def row(video: str, start: int, end: int, box: str, **others) -> dict:
    """A metadata row; by default at 25 fps, made on 64 x 48 frames, of the test split."""
    return {
        "video_id": video,
        "start": start,
        "end": end,
        "bbox": box,
        "fps": 25,
        "width": 64,
        "height": 48,
        "partition": "test",
    } | others


def plainly_cut(path: Path, one: dict, side: int, rate: float) -> np.ndarray:
    """The clip of a metadata row, read as datasets.md section 3 states the rule: every frame decoded and looked at.

    Args:
        rate: of the original, as imageio reports it.
    """
    import imageio.v3
    from skimage.transform import resize
    from skimage.util import img_as_ubyte

    left, top, right, bottom = map(int, one["bbox"].split("-"))
    found = []
    for index, frame in enumerate(imageio.v3.imiter(path, plugin="pyav")):
        if not one["start"] * rate <= index * one["fps"] < one["end"] * rate:
            continue
        across, down = one["width"] / frame.shape[1], one["height"] / frame.shape[0]
        crop = frame[int(top / down) : int(bottom / down), int(left / across) : int(right / across)]
        found.append(img_as_ubyte(resize(crop, (side, side), anti_aliasing=True)))
    return np.stack(found)


def prepare(
    raw: Path, root: Path, lists: list[Path] | None = None, name: str = "taichi", **options
) -> Report:
    return prepare_root(
        standard_card(name),
        raw,
        root,
        lists=lists or [],
        **{"resolution": SIDE, "workers": 1, "quiet": True} | options,
    )


def clip_frames(folder: Path) -> np.ndarray:
    names = sorted(os.listdir(folder))
    assert names == [f"{index:07d}.png" for index in range(len(names))]
    return np.stack([np.asarray(Image.open(folder / name)) for name in names])


def everything(root: Path) -> dict[str, str]:
    """Content by clip of a root, hidden files left out."""
    clips = [clip for split in sorted(root.iterdir()) if split.is_dir() for clip in sorted(split.iterdir())]
    return {
        clip.relative_to(root).as_posix(): content_sha256(clip)
        for clip in clips
        if ".benchbed" not in clip.parts
    }
