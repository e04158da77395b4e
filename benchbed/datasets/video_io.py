"""Videos and picture strips to frames and back, by content and not by suffix."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from benchbed.datasets.containers import is_gif, is_image
from benchbed.datasets.images import (
    DECODING_ERRORS,
    check_alpha_rule,
    check_readable,
    decode_image,
    has_alpha,
    reason_of,
    to_rgb,
)
from benchbed.datasets.shards import StoredFile, stored_bytes
from benchbed.datasets.video_stream import (
    DecodedVideo,
    container_length,
    no_such_frame,
    read_container,
    read_container_at,
)
from benchbed.errors import BenchbedError, ClipError
from benchbed.files import replacing

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg")


def decoder_name() -> str:
    """The libraries that decide the pixels, with versions."""
    import av
    import PIL

    codec = ".".join(str(part) for part in av.library_versions["libavcodec"])
    return f"PyAV {av.__version__} / libavcodec {codec} / Pillow {PIL.__version__}"


def strip_length(width: int, height: int) -> int:
    """Frames in a wide picture strip: how many squares stand side by side, 1 where the image is no strip."""
    return width // height if height and width > height and width % height == 0 else 1


def read_video(path: StoredFile | str, alpha: str = "drop") -> DecodedVideo:
    """All frames of a video file, a gif or a wide picture strip.

    Args:
        path: the file, on disk or in a shard; its suffix is not looked at.
        alpha: `drop` shows the colour that is kept below transparent pixels, as the field's loaders do;
            `white` composites on white.

    Raises:
        ClipError: missing, empty, truncated or corrupt, or a single still image; the message names the file.
        BenchbedError: another alpha rule.
    """
    path = Path(path) if isinstance(path, str) else path
    check_alpha_rule(alpha)
    head = check_readable(path)
    if is_gif(head):
        return _read_gif(path, alpha)
    if is_image(head):
        return _read_strip(path, alpha)
    return read_container(path, alpha)


def read_frames(path: StoredFile | str, numbers: Sequence[int], alpha: str = "drop") -> np.ndarray:
    """Some frames of what `read_video` reads, the same pixels; the others are decoded only where they must be.

    A video is entered at the key frame before each of them, a gif is read up to the last of them, a strip whole.

    Args:
        path, alpha: as for `read_video`.
        numbers: frame numbers from 0, in any order, also repeated; not empty.

    Returns:
        uint8 `[N, H, W, 3]` RGB.

    Raises:
        ClipError: as `read_video`, for the part that was read, and where the clip has no such frame.
    """
    path = Path(path) if isinstance(path, str) else path
    check_alpha_rule(alpha)
    if not len(numbers) or min(numbers) < 0:
        raise BenchbedError(f"{path}: frame numbers start at 0, got {list(numbers)}")
    head = check_readable(path)
    if is_gif(head):
        frames = _read_gif(path, alpha, last=max(numbers)).frames
    elif is_image(head):
        frames = _read_strip(path, alpha).frames
    else:
        return read_container_at(path, numbers, alpha)
    if max(numbers) >= len(frames):
        raise no_such_frame(path, max(numbers), len(frames))
    return frames[list(numbers)]


def video_length(path: StoredFile | str) -> int:
    """How many frames `read_video` gives, from headers and packets where they are to be trusted.

    Raises:
        ClipError: as `read_video`, as far as the file was looked at.
    """
    path = Path(path) if isinstance(path, str) else path
    head = check_readable(path)
    if is_gif(head):
        _check_end_mark(path, "")
        try:
            with path.open("rb") as stream, Image.open(stream) as image:
                return getattr(image, "n_frames", 1)
        except DECODING_ERRORS as error:
            raise ClipError(f"{path} cannot be decoded: {reason_of(error)}; replace the file") from error
    if is_image(head):
        try:
            with path.open("rb") as stream, Image.open(stream) as image:
                return _strip_count(path, *image.size)
        except DECODING_ERRORS as error:
            raise ClipError(f"{path} cannot be decoded: {reason_of(error)}; replace the file") from error
    length = container_length(path)
    return len(read_container(path, "drop").frames) if length is None else length


def _read_strip(path: StoredFile, alpha: str) -> DecodedVideo:
    pixels, notes = decode_image(path, alpha)
    height, width = pixels.shape[:2]
    count = _strip_count(path, width, height)
    frames = pixels.reshape(height, count, height, 3).swapaxes(0, 1)
    return DecodedVideo(np.ascontiguousarray(frames), None, notes)


def _strip_count(path: StoredFile, width: int, height: int) -> int:
    count = strip_length(width, height)
    if count == 1:
        raise ClipError(
            f"{path} is a single still image of {width}x{height}, no clip; "
            "frames side by side need a width that is a multiple of the height"
        )
    return count


def _read_gif(path: StoredFile, alpha: str, last: int | None = None) -> DecodedVideo:
    """All frames, or those up to number `last`."""
    frames: list[np.ndarray] = []
    durations: list[float] = []
    transparent = False
    try:
        with path.open("rb") as stream, Image.open(stream) as image:
            for number, frame in enumerate(ImageSequence.Iterator(image)):
                frame.load()  # Pillow has painted it over the frames before, by their disposal
                transparent = transparent or has_alpha(frame)
                durations.append(float(frame.info.get("duration", 0)))
                frames.append(to_rgb(frame, alpha))
                if number == last:
                    break
    except DECODING_ERRORS as error:
        raise ClipError(
            f"{path} cannot be decoded after {len(frames)} frames: {reason_of(error)}; replace the file"
        ) from error
    if last is None or len(frames) <= last:
        _check_end_mark(path, f" after {len(frames)} frames")
    mean = sum(durations) / len(durations)
    notes = []
    if transparent:
        notes.append("alpha dropped" if alpha == "drop" else "alpha composited on white")
    if last is None and len(set(durations)) > 1:
        notes.append("variable frame rate: every frame counts once, however long it was shown")
    return DecodedVideo(np.stack(frames), 1000.0 / mean if mean > 0 else None, tuple(notes))


def _check_end_mark(path: StoredFile, where: str) -> None:
    with path.open("rb") as stream:
        stream.seek(-min(stored_bytes(path), 16), os.SEEK_END)
        tail = stream.read().rstrip(b"\0")
    if not tail.endswith(b";"):
        raise ClipError(f"{path} is truncated: the gif stops{where} without its end mark")


def write_video(path: Path | str, frames: np.ndarray, fps: float = 25.0) -> None:
    """Write frames by suffix: mp4 (H.264, yuv420p), gif, or png (frames side by side in one wide image).

    Written to a temporary name beside the target, then renamed. H.264 needs even sides: an odd one is
    extended by repeating the last row or column.

    Args:
        path: the target; `.mp4`, `.mov`, `.mkv`, `.gif` or `.png`.
        frames: uint8 `[T, H, W, 3]` RGB.
        fps: frames per second (gif stores hundredths of seconds; png none).

    Raises:
        BenchbedError: another suffix, no frames, or the folder cannot be written.
    """
    path = Path(path)
    writers = {
        ".mp4": _write_h264,
        ".mov": _write_h264,
        ".mkv": _write_h264,
        ".gif": _write_gif,
        ".png": _write_strip,
    }
    suffix = path.suffix.lower()
    if suffix not in writers:
        raise BenchbedError(f"{path}: unknown suffix '{suffix}'; write one of: {', '.join(writers)}")
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise BenchbedError(
            f"{path}: expected uint8 frames [T, H, W, 3], got {frames.dtype} {list(frames.shape)}"
        )
    try:
        with replacing(path) as temporary:
            writers[suffix](temporary, frames, fps)
    except OSError as error:
        raise BenchbedError(
            f"{path} cannot be written: {error.strerror or error}; free some space or choose another folder"
        ) from error


def _write_h264(path: Path, frames: np.ndarray, fps: float) -> None:
    import av

    height, width = frames.shape[1:3]
    padding = ((0, height % 2), (0, width % 2), (0, 0))
    with av.open(str(path), mode="w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        stream.options = {"crf": "12"}
        for frame in frames:
            pixels = np.ascontiguousarray(np.pad(frame, padding, mode="edge"))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def _write_gif(path: Path, frames: np.ndarray, fps: float) -> None:
    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(path, save_all=True, append_images=images[1:], duration=round(1000 / fps), loop=0)


def _write_strip(path: Path, frames: np.ndarray, fps: float) -> None:
    Image.fromarray(np.concatenate(list(frames), axis=1)).save(path)
