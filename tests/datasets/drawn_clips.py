"""Clips that tests draw, and the files they are written to."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
from PIL import Image


def moving_square(frames: int = 12, side: int = 32, seed: int = 0) -> np.ndarray:
    """A smooth background and a bright square that moves: survives H.264."""
    rows, columns = np.mgrid[:side, :side]
    background = np.stack([rows, columns, rows + columns], axis=-1) * (100 // side) + 20 + seed
    clip = np.repeat(background[None], frames, axis=0).astype(np.uint8)
    for index in range(frames):
        clip[index, 8:16, index : index + 8] = (220, 40 + seed, 60)
    return clip


def noise(frames: int = 40, side: int = 64) -> np.ndarray:
    """Incompressible frames, so that half a file holds about half of them."""
    return np.random.default_rng(0).integers(0, 256, (frames, side, side, 3), dtype=np.uint8)


def save_strip(path: Path, frames: np.ndarray, kind: str = "PNG") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(list(frames), axis=1)).save(path, format=kind)


def save_frames(folder: Path, frames: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{index:07d}.png")


def write_mp4(path: Path, frames: np.ndarray, *, moov_first: bool) -> None:
    options = {"movflags": "faststart"} if moov_first else {}
    with av.open(str(path), mode="w", options=options) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def cut_in_half(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def png(frame: np.ndarray) -> bytes:
    """The bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, format="PNG")
    return buffer.getvalue()


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """A plain tar archive with those members, in order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def encode(
    path: Path,
    frames: np.ndarray,
    codec: str = "libx264",
    form: str = "yuv420p",
    options: dict[str, str] | None = None,
    times: Iterable[int] | None = None,
) -> None:
    """A video of any codec and pixel format.

    Args:
        times: when each frame is shown, in 1/100 s; None for 25 frames per second.
    """
    from fractions import Fraction

    with av.open(str(path), mode="w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.options = form, options or {}
        if times is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 100)
        for index, (pixels, time) in enumerate(zip(frames, times or range(len(frames)), strict=True)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=form)
            if times is not None:
                frame.pts, frame.time_base = time, Fraction(1, 100)
            else:
                frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
