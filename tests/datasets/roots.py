"""Small roots of standard data sets, drawn: clips of a moving square under names in the published form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from benchbed.datasets.standard.manifest import (
    ClipRecord,
    ListOrigin,
    Manifest,
    MissingClip,
    Preprocessing,
    SplitRecord,
    clip_key,
    content_sha256,
    write_manifest,
)

SIDE = 32
LIST = ListOrigin("list.csv", "ab" * 32)
METADATA = "video_id,start,end,bbox,fps,width,height,partition"


def drawn(frames: int, seed: int, side: int = SIDE) -> np.ndarray:
    """A square that moves over a plain ground, uint8 `[T, side, side, 3]`; another seed, other colours."""
    random = np.random.default_rng(seed)
    ground, colour = random.integers(0, 255, (2, 3))
    clip = np.tile(ground.astype(np.uint8), (frames, side, side, 1))
    for time in range(frames):
        left = (seed + 2 * time) % (side - 8)
        clip[time, 8:16, left : left + 8] = colour
    return clip


def write_frames(folder: Path, clip: np.ndarray) -> Path:
    """A folder of PNG frames, as the field keeps them."""
    folder.mkdir(parents=True)
    for number, frame in enumerate(clip):
        Image.fromarray(frame).save(folder / f"{number:07d}.png")
    return folder


def write_root(root: Path, splits: Mapping[str, Mapping[str, int]], side: int = SIDE) -> Path:
    """Folders of frames `root/SPLIT/NAME.mp4` with so many frames each."""
    seed = 0
    for split, clips in splits.items():
        for name, frames in clips.items():
            seed += 1
            write_frames(root / split / f"{name}.mp4", drawn(frames, seed, side))
    return root


def manifest_of(
    root: Path,
    dataset: str,
    *,
    missing: Mapping[str, str] | None = None,
    origin: ListOrigin | None = LIST,
    side: int = SIDE,
) -> Manifest:
    """Write the manifest that a preparation of the root would have left: its clips, and the test clips it lacks."""
    records = []
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        present = tuple(
            ClipRecord(clip.name, len(list(clip.iterdir())), (side, side), None, content_sha256(clip))
            for clip in sorted(folder.iterdir())
        )
        gone = tuple(MissingClip(*item) for item in sorted((missing or {}).items()))
        gone = gone if folder.name == "test" else ()
        listed = sorted([clip_key(clip.id) for clip in present] + [clip.id for clip in gone])
        records.append(SplitRecord(folder.name, origin, tuple(listed), present, gone))
    manifest = Manifest(dataset, Preprocessing(1, (side, side), "skimage", "png"), tuple(records))
    write_manifest(root, manifest)
    return manifest
