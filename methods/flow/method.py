"""Motion without learning: the source warped by classical dense optical flow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError, CheckpointError
from benchbed.frames import to_uint8

SMALLEST_SIDE = 12  # OpenCV's search refuses smaller images


@dataclass(frozen=True)
class FlowEncoding:
    """The source as OpenCV wants it.

    Args:
        colour: float32 `(H, W, 3)` RGB in [0, 1], what is warped.
        grey: uint8 `(H, W)`, what the flow is computed on.
    """

    colour: np.ndarray
    grey: np.ndarray


class Flow(nn.Module):
    """Warps the source backward by dense inverse search flow; has no weights and takes any size.

    Absolute transfer samples the source where each driving pixel is found in it. Relative transfer applies
    the flow from the driving frame to the initial driving frame to the source, unaligned.

    Source: Kroeger et al., ECCV 2016; OpenCV `DISOpticalFlow`, medium preset.
    """

    def __init__(self) -> None:
        super().__init__()
        self.resolution: tuple[int, int] | None = None
        self.trained_on = "none"
        self.conventions: dict[str, str] = {}

    def encode(self, source: Tensor, references: Tensor | None = None) -> FlowEncoding:
        """The source `[1, 3, H, W]` on the CPU, in colour and grey.

        Raises:
            BenchbedError: a side is shorter than the search can work with.
        """
        height, width = source.shape[-2:]
        if min(height, width) < SMALLEST_SIDE:
            raise BenchbedError(
                f"flow: frames are {height}x{width} pixels; it needs sides of at least {SMALLEST_SIDE}"
            )
        colour = source[0].detach().float().permute(1, 2, 0).cpu().contiguous().numpy()
        return FlowEncoding(colour, _grey(source)[0])

    def animate(
        self,
        encoding: FlowEncoding,
        driving: Tensor,
        *,
        initial_driving: Tensor | None = None,
        transfer: str = "absolute",
    ) -> Tensor:
        """The warped source, `[N, 3, H, W]` on the device of the driving frames.

        Raises:
            BenchbedError: relative transfer without the initial driving frame.
        """
        if transfer == "relative":
            if initial_driving is None:
                raise BenchbedError("flow: relative transfer needs initial_driving, the clip's first frame")
            anchor = _grey(initial_driving)[0]
        else:
            anchor = encoding.grey
        warped = [_warp(encoding.colour, _flow(frame, anchor)) for frame in _grey(driving)]
        frames = torch.from_numpy(np.stack(warped)).permute(0, 3, 1, 2)
        return frames.to(device=driving.device, dtype=driving.dtype).contiguous()


def _grey(frames: Tensor) -> list[np.ndarray]:
    pixels = to_uint8(frames.detach()).permute(0, 2, 3, 1).cpu().contiguous().numpy()
    return [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in pixels]


def _flow(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Displacement `(H, W, 2)` in pixels, (x, y), of each pixel of `start` to its place in `end`."""
    # A new search per frame: the object keeps buffers, and frames must not influence each other.
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    standstill = np.zeros((*start.shape, 2), np.float32)
    return np.asarray(search.calc(start, end, standstill))


def _warp(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    warped = cv2.remap(
        image, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.clip(warped, 0.0, 1.0)


def build(*, checkpoint: Path | None, configuration: str | None) -> Flow:
    """Build the reference row.

    Raises:
        CheckpointError: a checkpoint was given.
    """
    if checkpoint is not None:
        raise CheckpointError(f"flow has no weights; run it without {checkpoint}")
    return Flow().eval()
