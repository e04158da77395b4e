"""Still images as 8-bit RGB, whatever they hold: alpha, palettes, gray, 16 bits, EXIF orientation."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from benchbed.datasets.shards import StoredFile
from benchbed.errors import BenchbedError, ClipError

if TYPE_CHECKING:
    from torch import Tensor

ALPHA_RULES = ("drop", "white")
# What Pillow raises on damaged files, beside OSError: its format plug-ins are not stricter than this.
DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def check_alpha_rule(alpha: str) -> str:
    """The rule itself, once it is `drop` or `white`."""
    if alpha not in ALPHA_RULES:
        raise BenchbedError(f"unknown alpha rule '{alpha}'; use one of: {', '.join(ALPHA_RULES)}")
    return alpha


def has_alpha(image: Image.Image) -> bool:
    """Whether an opened image has transparency: a fourth channel, or a transparent palette entry."""
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def to_rgb(image: Image.Image, alpha: str) -> np.ndarray:
    """An 8-bit image as uint8 `[H, W, 3]`.

    Args:
        image: any Pillow image of at most 8 bits a channel.
        alpha: `drop` shows the colour that is kept below transparent pixels, as the field's loaders do;
            `white` composites on white.
    """
    if alpha == "white" and has_alpha(image):
        layer = image.convert("RGBA")
        canvas = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        image = Image.alpha_composite(canvas, layer)
    return np.array(image.convert("RGB"))


def decode_image(path: StoredFile, alpha: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """One image file, read by content.

    Returns:
        uint8 `[H, W, 3]` RGB, and what had to be converted (`alpha dropped`, `16 bit to 8 bit`, ...).

    Raises:
        ClipError: the file is empty, truncated, corrupt or no image; the message names it.
    """
    check_readable(path)
    notes: list[str] = []
    try:
        with path.open("rb") as stream, Image.open(stream) as opened:
            image: Image.Image = opened
            image.load()  # a truncated file fails here, whoever decodes the pixels
            if has_alpha(image):
                notes.append("alpha dropped" if alpha == "drop" else "alpha composited on white")
            if _bits(path, image) > 8:
                notes.append("16 bit to 8 bit")
                image = _eight_bits(path, image)
            if image.mode in ("L", "LA", "1", "I;16"):
                notes.append("gray to RGB")
            elif image.mode in ("P", "PA"):
                notes.append("palette to RGB")
            elif image.mode == "CMYK":
                notes.append("CMYK to RGB")
            if image.getexif().get(0x0112, 1) != 1:
                notes.append("turned as its EXIF orientation says")
                image = ImageOps.exif_transpose(image)
            return to_rgb(image, alpha), tuple(notes)
    except DECODING_ERRORS as error:
        raise ClipError(f"{path} cannot be decoded: {reason_of(error)}; replace the file") from error


def check_readable(path: StoredFile) -> bytes:
    """The first 32 bytes of a file.

    Raises:
        ClipError: there is no such file, it is empty or not readable.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(32)
    except OSError as error:
        raise ClipError(f"{path} cannot be read: {error.strerror}") from error
    if not head:
        raise ClipError(f"{path} is empty (0 bytes); replace the file")
    return head


def read_image(
    path: Path | str, size: tuple[int, int] | None = None, alpha: str = "white"
) -> tuple[Tensor, tuple[str, ...]]:
    """A source image, of any kind, as a frame.

    Args:
        path: PNG, JPEG, WebP, BMP, TIFF or the first frame of a gif.
        size: (height, width) to resize to (stretched, as the field does); None keeps the image's own.
        alpha: `white` or `drop`, see `to_rgb`.

    Returns:
        uint8 `[3, H, W]` RGB, and a sentence for everything that had to be converted.

    Raises:
        ClipError: the file is missing, empty, truncated, corrupt or no image.
    """
    import torch

    from benchbed.frames import resize_frames

    path = Path(path)
    pixels, converted = decode_image(path, check_alpha_rule(alpha))
    notes = [f"{path.name}: {note}" for note in converted]
    if size is not None and pixels.shape[:2] != tuple(size):
        height, width = pixels.shape[:2]
        notes.append(f"{path.name}: resized from {width}x{height} to {size[1]}x{size[0]}")
        pixels = resize_frames(pixels[None], (size[0], size[1]))[0]
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))), tuple(notes)


def _bits(path: StoredFile, image: Image.Image) -> int:
    """Bits per channel; Pillow opens 16-bit RGB PNG as 8 bits and says nothing."""
    if image.mode.startswith("I"):
        return 16
    if image.format == "PNG":
        with path.open("rb") as stream:
            return stream.read(25)[24]  # bit depth, the ninth byte of IHDR
    return 8


def _eight_bits(path: StoredFile, image: Image.Image) -> Image.Image:
    """A 16-bit image with 8 bits a channel, rounded (v / 257); Pillow would cut the low byte off."""
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.float64)
        return Image.fromarray(np.clip(np.rint(values / 257.0), 0, 255).astype(np.uint8))
    import cv2

    with path.open("rb") as stream:
        content = np.frombuffer(stream.read(), dtype=np.uint8)
    pixels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise OSError("its 16-bit pixels cannot be decoded")
    pixels = np.rint(pixels / 257.0).astype(np.uint8)
    if pixels.ndim == 2:
        return Image.fromarray(pixels)
    order = [2, 1, 0, 3][: pixels.shape[2]]  # OpenCV's channels come as blue, green, red
    return Image.fromarray(np.ascontiguousarray(pixels[..., order]))


def reason_of(error: BaseException) -> str:
    """Why a file cannot be decoded, as part of a sentence."""
    if isinstance(error, Image.UnidentifiedImageError):
        return "it is no image of a known kind"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).rstrip(".").replace("\n", " ")
