"""Videos and picture strips to frames and back, by content and not by suffix."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from benchbed.datasets.containers import declared_bytes, is_gif, is_image
from benchbed.datasets.images import (
    DECODING_ERRORS,
    check_alpha_rule,
    check_readable,
    decode_image,
    has_alpha,
    to_rgb,
)
from benchbed.errors import BenchbedError, ClipError
from benchbed.files import replacing

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg")
# Containers count frames that decoders drop or hide (edit lists, a broken last group): so many are no damage.
FRAME_SLACK = 2
# Containers without a frame count state a duration only, whose last frame's share is guessed by writers.
DURATION_SLACK = 0.1
# What PyAV raises beside its own errors on headers with absurd numbers and texts.
HEADER_ERRORS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError)


@dataclass(frozen=True)
class DecodedVideo:
    """All frames of one clip.

    Args:
        frames: uint8 `[T, H, W, 3]` RGB, T at least 1.
        fps: frames per second as the container says, None where it does not.
        notes: what was converted (`alpha dropped`, `turned by 90 degrees`, ...).
    """

    frames: np.ndarray
    fps: float | None
    notes: tuple[str, ...] = ()


def decoder_name() -> str:
    """The libraries that decide the pixels, with versions."""
    import av
    import PIL

    codec = ".".join(str(part) for part in av.library_versions["libavcodec"])
    return f"PyAV {av.__version__} / libavcodec {codec} / Pillow {PIL.__version__}"


def strip_length(width: int, height: int) -> int:
    """Frames in a wide picture strip: how many squares stand side by side, 1 where the image is no strip."""
    return width // height if height and width > height and width % height == 0 else 1


def read_video(path: Path | str, alpha: str = "drop") -> DecodedVideo:
    """All frames of a video file, a gif or a wide picture strip.

    Args:
        path: the file; its suffix is not looked at.
        alpha: `drop` shows the colour that is kept below transparent pixels, as the field's loaders do;
            `white` composites on white.

    Raises:
        ClipError: missing, empty, truncated or corrupt, or a single still image; the message names the file.
        BenchbedError: another alpha rule.
    """
    path = Path(path)
    check_alpha_rule(alpha)
    head = check_readable(path)
    if is_gif(head):
        return _read_gif(path, alpha)
    if is_image(head):
        return _read_strip(path, alpha)
    return _read_container(path, alpha)


def _read_strip(path: Path, alpha: str) -> DecodedVideo:
    pixels, notes = decode_image(path, alpha)
    height, width = pixels.shape[:2]
    count = strip_length(width, height)
    if count == 1:
        raise ClipError(
            f"{path} is a single still image of {width}x{height}, no clip; "
            "frames side by side need a width that is a multiple of the height"
        )
    frames = pixels.reshape(height, count, height, 3).swapaxes(0, 1)
    return DecodedVideo(np.ascontiguousarray(frames), None, notes)


def _read_gif(path: Path, alpha: str) -> DecodedVideo:
    frames: list[np.ndarray] = []
    durations: list[float] = []
    transparent = False
    try:
        with Image.open(path) as image:
            for frame in ImageSequence.Iterator(image):
                frame.load()  # Pillow has painted it over the frames before, by their disposal
                transparent = transparent or has_alpha(frame)
                durations.append(float(frame.info.get("duration", 0)))
                frames.append(to_rgb(frame, alpha))
    except DECODING_ERRORS as error:
        raise ClipError(
            f"{path} cannot be decoded after {len(frames)} frames: {_reason(error)}; replace the file"
        ) from error
    with path.open("rb") as stream:
        stream.seek(-min(path.stat().st_size, 16), os.SEEK_END)
        tail = stream.read().rstrip(b"\0")
    if not tail.endswith(b";") or not frames:
        raise ClipError(f"{path} is truncated: the gif stops after {len(frames)} frames without its end mark")
    mean = sum(durations) / len(durations)
    notes = ("alpha dropped" if alpha == "drop" else "alpha composited on white",) if transparent else ()
    return DecodedVideo(np.stack(frames), 1000.0 / mean if mean > 0 else None, notes)


def _read_container(path: Path, alpha: str) -> DecodedVideo:
    import av

    declared, actual = declared_bytes(path), path.stat().st_size
    if declared is not None and actual < declared:
        raise ClipError(f"{path} is truncated: it has {actual} bytes of the {declared} its header declares")
    frames: list[np.ndarray] = []
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            if not container.streams.video:
                raise ClipError(f"{path} holds no video stream; replace the file")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            fps = float(stream.average_rate) if stream.average_rate else None
            expected = _expected_frames(container, stream, fps)
            turned, transparent = 0, False
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    raise ClipError(f"{path} is damaged at frame {len(frames)}; replace the file")
                transparent = transparent or any(c.is_alpha for c in frame.format.components)
                turned = round(getattr(frame, "rotation", 0) / 90) % 4
                frames.append(_frame_pixels(frame, alpha, turned))
                if frames[-1].shape != frames[0].shape:
                    raise ClipError(f"{path} changes its frame size at frame {len(frames) - 1}; re-encode it")
    except (av.FFmpegError, *HEADER_ERRORS) as error:
        if not frames:
            raise ClipError(
                f"{path} is no readable video: {_reason(error)}; it is corrupt, cut off or of an unknown kind"
            ) from error
        raise ClipError(
            f"{path} cannot be decoded after {len(frames)} frames: {_reason(error)}; replace the file"
        ) from error
    if not frames:
        raise ClipError(f"{path} holds no decodable frame; replace the file")
    if len(frames) < expected:
        raise ClipError(
            f"{path} is truncated: {len(frames)} frames decoded, its container promises {expected} or more"
        )
    notes = []
    if transparent:
        notes.append("alpha dropped" if alpha == "drop" else "alpha composited on white")
    if turned:
        notes.append(f"turned by {90 * turned} degrees as its container says")
    return DecodedVideo(np.stack(frames), fps, tuple(notes))


def _expected_frames(container, stream, fps: float | None) -> int:
    """The least number of frames that a whole file gives."""
    if stream.frames:
        return stream.frames - FRAME_SLACK
    if stream.duration and stream.time_base:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration:
        seconds = container.duration / 1e6
    else:
        return 1
    return int(seconds * fps * (1 - DURATION_SLACK)) - FRAME_SLACK if fps else 1


def _frame_pixels(frame, alpha: str, turned: int) -> np.ndarray:
    if alpha == "white" and any(component.is_alpha for component in frame.format.components):
        pixels = to_rgb(Image.fromarray(frame.to_ndarray(format="rgba")), "white")
    else:
        pixels = frame.to_ndarray(format="rgb24")
    # the display matrix counts counter-clockwise, and so does rot90
    return np.ascontiguousarray(np.rot90(pixels, turned)) if turned else pixels


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).rstrip(".").replace("\n", " ")


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
