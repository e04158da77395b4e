"""Animate one image with one video, outside any protocol."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import torch

from benchbed.arithmetic import flush_denormals
from benchbed.datasets.images import read_image
from benchbed.datasets.video_io import read_video, write_video
from benchbed.errors import BenchbedError
from benchbed.executors.lane import build_method
from benchbed.frames import resize_frames, to_float, to_uint8
from benchbed.generation import Stopwatch, animate_clip
from benchbed.plan import MethodPlan

FALLBACK_FPS = 10.0  # what the field's scripts save at; used where the driving file tells no rate


def animate(
    method: MethodPlan,
    source: Path,
    driving: Path,
    output: Path,
    *,
    resolution: int | None,
    transfer: str,
    alpha: str,
    device: str,
    precision: str,
    batch_size: int,
) -> tuple[int, tuple[str, ...]]:
    """Write the animation of `source` by `driving` to `output`.

    Returns:
        Number of frames written, and notes on what was converted.

    Raises:
        BenchbedError: the image or the video cannot be read, the method lacks the transfer, or its weights do not load.
    """
    if method.privileged:
        raise BenchbedError(
            f"method '{method.name}' needs ground-truth frames, which an animation does not have"
        )
    if transfer not in method.card.data["transfer"]:
        raise BenchbedError(
            f"method '{method.name}' has no {transfer} transfer; known: {', '.join(method.card.data['transfer'])}"
        )
    flush_denormals()
    target = torch.device(device)
    built = build_method(method, target)
    video = read_video(driving, alpha=alpha)
    notes = list(video.notes)
    height, width = video.frames.shape[1:3]
    size = (resolution, resolution) if resolution else built.resolution or (height, width)
    if size != (height, width):
        notes.append(f"{driving.name}: frames of {width}x{height} resized to {size[1]}x{size[0]}")
    frames = torch.from_numpy(resize_frames(video.frames, size)).permute(0, 3, 1, 2).contiguous()
    image, image_notes = read_image(source, size, alpha)
    notes += image_notes
    batches = animate_clip(
        built,
        to_float(image.unsqueeze(0).to(target)),
        frames.to(target),
        transfer=transfer,
        batch_size=batch_size,
        precision=precision,
        stopwatch=Stopwatch(target),
        memory=nullcontext(),
    )
    generated = torch.cat([to_uint8(batch).cpu() for batch in batches])
    write_video(output, generated.permute(0, 2, 3, 1).contiguous().numpy(), video.fps or FALLBACK_FPS)
    return int(generated.shape[0]), tuple(notes)
