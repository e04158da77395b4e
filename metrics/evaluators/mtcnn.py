"""MTCNN, the face detector inside the facenet-pytorch package, on many frames at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchbed.errors import CheckpointError
from benchbed.weights import load_tensors, sha256_of

from .released import fill

# Raised whenever the same frames would give other boxes.
PREPROCESSING = 1
NETWORKS_SHA256 = {
    "pnet": "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f",
    "rnet": "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86",
    "onet": "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d",
}
# Frames per pass, measured on the CPU: 1 takes 10 to 20 % longer a frame, 4 to 16 are alike.
BATCH = {"cpu": 8, "cuda": 64}
CROPS_AT_ONCE = 512
# The library's defaults.
SMALLEST_FACE = 20
THRESHOLDS = (0.6, 0.7, 0.7)
PYRAMID_FACTOR = 0.709
# The first network is a 12x12 window moved in steps of 2 pixels.
WINDOW = 12
STEP = 2


class Mtcnn:
    """Faces of frames; equal to `facenet_pytorch.MTCNN` with default settings on each frame alone.

    Unlike there, frames with too small a side and boxes that miss the frame are no error, and the overlap of
    boxes is decided within each frame, so that the other frames of a batch cannot move a rounding.

    Args:
        pnet, rnet, onet: the three networks.

    Source: Zhang et al. 2016 (joint face detection and alignment by multi-task cascaded networks).
    """

    def __init__(self, pnet: nn.Module, rnet: nn.Module, onet: nn.Module) -> None:
        self._pnet, self._rnet, self._onet = pnet, rnet, onet
        self._device = next(pnet.parameters()).device

    @torch.no_grad()
    def __call__(self, frames: Tensor) -> list[np.ndarray]:
        """Boxes of each frame, float32 `[K, 5]`: x1, y1, x2, y2 in pixels and score, by decreasing score.

        Boxes may reach beyond the frame; K is 0 where there is no face.

        Args:
            frames: uint8 `[N, 3, H, W]`, RGB.
        """
        size = BATCH.get(self._device.type, BATCH["cuda"])
        return [boxes for chunk in frames.split(size) for boxes in self._detect(chunk)]

    def _detect(self, frames: Tensor) -> list[np.ndarray]:
        sums = _sums(frames.to(self._device))
        boxes, owners = self._propose(sums)
        boxes, owners, crops = _crops(sums, boxes, owners, 24)
        if not len(boxes):
            return [np.zeros((0, 5), np.float32) for _ in frames]
        moves, scores = _run(self._rnet, crops, 2)
        kept = scores[:, 1] > THRESHOLDS[1]
        boxes, owners, moves = _scored(boxes, scores, kept), owners[kept], moves[kept]
        picked = _suppress(boxes, owners, 0.7)
        boxes, owners = _square(_moved(boxes[picked], moves[picked])), owners[picked]
        boxes, owners, crops = _crops(sums, boxes, owners, 48)
        if not len(boxes):
            return [np.zeros((0, 5), np.float32) for _ in frames]
        moves, _, scores = _run(self._onet, crops, 3)
        kept = scores[:, 1] > THRESHOLDS[2]
        faces = _moved(_scored(boxes, scores, kept), moves[kept]).cpu().numpy()
        frame_of = owners[kept].cpu().numpy()
        return [_without_nested(faces[frame_of == frame]) for frame in range(len(frames))]

    def _propose(self, sums: Tensor) -> tuple[Tensor, Tensor]:
        """Squares `[K, 5]` that the first network takes for faces, and the frame each is in `[K]`."""
        height, width = sums.shape[1] - 1, sums.shape[2] - 1
        boxes = [torch.zeros(0, 9, device=sums.device)]
        owners = [torch.zeros(0, dtype=torch.int64, device=sums.device)]
        for scale in _pyramid(min(height, width)):
            size = (int(height * scale + 1), int(width * scale + 1))
            moves, scores = self._pnet(_shrunk(sums, size))
            faces = scores[:, 1] >= THRESHOLDS[0]
            places = faces.nonzero()
            corner = places[:, 1:].flip(1).float()
            box = torch.cat(
                [
                    ((STEP * corner + 1) / scale).floor(),
                    ((STEP * corner + WINDOW) / scale).floor(),
                    scores[:, 1][faces].unsqueeze(1),
                    moves.permute(0, 2, 3, 1)[faces],
                ],
                dim=1,
            )
            picked = _suppress(box, places[:, 0], 0.5)
            boxes.append(box[picked])
            owners.append(places[:, 0][picked])
        box, owner = torch.cat(boxes), torch.cat(owners)
        picked = _suppress(box, owner, 0.7)
        box, owner = box[picked], owner[picked]
        sides = (box[:, 2:4] - box[:, :2]).repeat(1, 2)
        return _square(torch.cat([box[:, :4] + box[:, 5:] * sides, box[:, 4:5]], dim=1)), owner


def load_mtcnn(device: torch.device | str) -> Mtcnn:
    """The detector with the weights inside the installed facenet-pytorch package, each file checked.

    Raises:
        CheckpointError: the package holds other files than version 2.5.3, or none.
    """
    import facenet_pytorch
    from facenet_pytorch.models import mtcnn

    folder = Path(facenet_pytorch.__file__).parent / "data"
    kinds = {"pnet": mtcnn.PNet, "rnet": mtcnn.RNet, "onet": mtcnn.ONet}
    networks = []
    for name, kind in kinds.items():
        path = folder / f"{name}.pt"
        if not path.is_file() or sha256_of(path) != NETWORKS_SHA256[name]:
            raise CheckpointError(
                f"the face detector's {path.name} of the installed facenet-pytorch is not that of version 2.5.3; "
                "install facenet-pytorch 2.5.3 again"
            )
        # The library's own loading would accept any pickle; built empty, the file is read as tensors only.
        with torch.device("meta"):
            network = kind(pretrained=False)
        fill(network, load_tensors(path).tensors, name=f"the face detector's {name}")
        # Pooling is several times quicker on the CPU with the channels of a pixel side by side.
        networks.append(network.to(device, memory_format=torch.channels_last))
    return Mtcnn(*networks)


def _pyramid(side: int) -> list[float]:
    """Scales at which a 12-pixel window sees faces from the smallest one up to the whole frame."""
    scale = WINDOW / SMALLEST_FACE
    scales, side_there = [], side * scale
    while side_there >= WINDOW:
        scales.append(scale)
        scale *= PYRAMID_FACTOR
        side_there *= PYRAMID_FACTOR
    return scales


def _centred(values: Tensor) -> Tensor:
    return ((values - 127.5) * 0.0078125).contiguous(memory_format=torch.channels_last)


def _sums(frames: Tensor) -> Tensor:
    """Sums of all pixels above and left of each corner, int32 `[N, H + 1, W + 1, 3]`.

    Where they overflow they wrap around, and so do their differences: the sum over a box stays exact.
    """
    summed = frames.to(torch.int32).cumsum(dim=2, dtype=torch.int32).cumsum(dim=3, dtype=torch.int32)
    return functional.pad(summed, (1, 0, 1, 0)).permute(0, 2, 3, 1).contiguous()


def _shrunk(sums: Tensor, size: tuple[int, int]) -> Tensor:
    """The whole frames at another size, `[N, 3, *size]`, area-averaged as in `_crops`."""
    ends = [torch.tensor([side - 1], device=sums.device) for side in sums.shape[1:3]]
    (y, y_after), (x, x_after) = (_bins(0 * end, end, side) for end, side in zip(ends, size, strict=True))
    rows = sums.index_select(1, y_after[0]) - sums.index_select(1, y[0])
    content = rows.index_select(2, x_after[0]) - rows.index_select(2, x[0])
    mean = content.float() / (y_after - y)[:, :, None, None].float() / (x_after - x)[:, None, :, None].float()
    return _centred(mean.permute(0, 3, 1, 2))


def _crops(sums: Tensor, boxes: Tensor, owners: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """The boxes that meet their frame, their frames, and their contents `[K, 3, size, size]`, area-averaged.

    Each output pixel is the mean of the whole pixels it touches (`interpolate(mode="area")`). Sums of 8-bit
    values are exact, so four look-ups per output pixel give the same number as a loop over crops.
    """
    height, width = sums.shape[1] - 1, sums.shape[2] - 1
    corner = boxes[:, :4].trunc().to(torch.int64)
    left, top = corner[:, 0].clamp(min=1) - 1, corner[:, 1].clamp(min=1) - 1
    right, bottom = corner[:, 2].clamp(max=width), corner[:, 3].clamp(max=height)
    inside = (right > left) & (bottom > top)
    x, x_after = _bins(left[inside], right[inside], size)
    y, y_after = _bins(top[inside], bottom[inside], size)
    owners = owners[inside]
    frame = owners[:, None, None]

    def total(row: Tensor, column: Tensor) -> Tensor:
        return sums[frame, row[:, :, None], column[:, None, :]]

    content = total(y_after, x_after) - total(y, x_after) - total(y_after, x) + total(y, x)
    rows, columns = (y_after - y)[:, :, None, None], (x_after - x)[:, None, :, None]
    mean = content.float() / rows.float() / columns.float()
    return boxes[inside], owners, _centred(mean.permute(0, 3, 1, 2))


def _bins(start: Tensor, stop: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """First pixel and the one after the last of each of `size` bins between start and stop, each `[K, size]`."""
    steps = torch.arange(size, device=start.device)
    length = (stop - start)[:, None]
    first = (steps * length).div(size, rounding_mode="floor")
    after = ((steps + 1) * length + size - 1).div(size, rounding_mode="floor")
    return start[:, None] + first, start[:, None] + after


def _run(network: nn.Module, crops: Tensor, outputs: int) -> list[Tensor]:
    parts = [network(chunk) for chunk in crops.split(CROPS_AT_ONCE)]
    return [torch.cat([part[index] for part in parts]) for index in range(outputs)]


def _scored(boxes: Tensor, scores: Tensor, kept: Tensor) -> Tensor:
    return torch.cat([boxes[kept, :4], scores[kept, 1:2]], dim=1)


def _moved(boxes: Tensor, moves: Tensor) -> Tensor:
    """Boxes shifted by the network's offsets, which are shares of the sides (counted in whole pixels)."""
    sides = (boxes[:, 2:4] - boxes[:, :2] + 1).repeat(1, 2)
    return torch.cat([boxes[:, :4] + moves * sides, boxes[:, 4:]], dim=1)


def _square(boxes: Tensor) -> Tensor:
    """Boxes grown to squares about their centres."""
    sides = boxes[:, 2:4] - boxes[:, :2]
    longest = sides.amax(dim=1, keepdim=True)
    corner = boxes[:, :2] + sides * 0.5 - longest * 0.5
    return torch.cat([corner, corner + longest, boxes[:, 4:]], dim=1)


def _suppress(boxes: Tensor, owners: Tensor, overlap: float) -> Tensor:
    """Places of the boxes that no better box of their own frame overlaps, frame by frame, best first."""
    from torchvision.ops import nms

    picked = [owners.new_zeros(0)]
    for frame in owners.unique().tolist():
        own = (owners == frame).nonzero().squeeze(1)
        picked.append(own[nms(boxes[own, :4], boxes[own, 4], overlap)])
    return torch.cat(picked)


def _without_nested(boxes: np.ndarray, overlap: float = 0.7) -> np.ndarray:
    """Boxes `[K, 5]` by decreasing score without those that share too much of the smaller area with a better one."""
    left = boxes[np.argsort(-boxes[:, 4], kind="stable")]
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        low, high = np.maximum(best[:2], left[:, :2]), np.minimum(best[2:4], left[:, 2:4])
        shared = np.maximum(high - low + 1, 0).prod(axis=1)
        area = (left[:, 2:4] - left[:, :2] + 1).prod(axis=1)
        left = left[shared / np.minimum(area, (best[2:4] - best[:2] + 1).prod()) <= overlap]
    return np.stack(kept) if kept else np.zeros((0, 5), np.float32)
