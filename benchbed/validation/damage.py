"""Known damage to true frames, in rising levels: what a metric should notice."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional
from PIL import Image
from torch import Tensor

from benchbed.frames import to_float, to_uint8


@dataclass(frozen=True)
class Scene:
    """True frames of one case, and what damage may take from elsewhere.

    Args:
        frames: float32 `(T, 3, H, W)` in [0, 1].
        stranger: another character in the same poses, of the same shape.
        seed: of everything that is drawn for this case.
    """

    frames: Tensor
    stranger: Tensor
    seed: int

    def generator(self) -> np.random.Generator:
        """The same draws for every level: levels differ in strength alone."""
        return np.random.default_rng(self.seed)


@dataclass(frozen=True)
class Damage:
    """One kind of damage.

    Args:
        title: for tables.
        unit: of the levels.
        levels: strengths, rising; 0 (none) is added by the ladder.
        apply: scene, level -> frames as the scene's; None where it is done to detected landmarks (in pixels).
    """

    name: str
    title: str
    unit: str
    levels: tuple[float, ...]
    apply: Callable[[Scene, float], Tensor] | None


def blurred(scene: Scene, sigma: float) -> Tensor:
    """A Gaussian of `sigma` pixels over every frame, reflected at the border."""
    radius = max(1, round(3 * sigma))
    positions = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (positions / sigma) ** 2)
    kernel = (kernel / kernel.sum()).repeat(3, 1)
    padded = functional.pad(scene.frames, (radius,) * 4, mode="reflect")
    rows = functional.conv2d(padded, kernel[:, None, None, :], groups=3)
    return functional.conv2d(rows, kernel[:, None, :, None], groups=3)


def jittered(scene: Scene, reach: float) -> Tensor:
    """Every frame shifted by its own whole number of pixels, up to `reach` on each axis, edges repeated."""
    shifts = np.rint(scene.generator().uniform(-1, 1, (len(scene.frames), 2)) * reach).astype(int)
    width = int(np.ceil(reach))
    padded = functional.pad(scene.frames, (width,) * 4, mode="replicate")
    height, side = scene.frames.shape[2:]
    return torch.stack(
        [
            frame[:, width + dy : width + dy + height, width + dx : width + dx + side]
            for frame, (dy, dx) in zip(padded, shifts, strict=True)
        ]
    )


def delayed(scene: Scene, count: float) -> Tensor:
    """Every frame shows the pose of `count` frames before; the first ones repeat the first."""
    times = (torch.arange(len(scene.frames)) - int(count)).clamp(min=0)
    return scene.frames[times]


def mixed(scene: Scene, share: float) -> Tensor:
    """`share` of another character in the same pose shines through."""
    return (1 - share) * scene.frames + share * scene.stranger


def dropped(scene: Scene, share: float) -> Tensor:
    """Each frame but the first is lost with probability `share`: the frame before stays on screen."""
    lost = scene.generator().uniform(size=len(scene.frames)) < share
    lost[0] = False
    kept = np.maximum.accumulate(np.where(lost, 0, np.arange(len(scene.frames))))
    return scene.frames[torch.from_numpy(kept)]


def compressed(scene: Scene, loss: float) -> Tensor:
    """JPEG of quality `100 - loss`, frame by frame."""
    pictures = []
    for frame in to_uint8(scene.frames).permute(0, 2, 3, 1).numpy():
        stream = io.BytesIO()
        Image.fromarray(frame).save(stream, format="JPEG", quality=int(100 - loss))
        pictures.append(np.asarray(Image.open(stream)))
    return to_float(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2))


LADDER = (
    Damage("blur", "blur", "px", (0.5, 1.0, 1.5, 2.0, 3.0), blurred),
    Damage("jitter", "jitter", "px", (1.0, 2.0, 3.0, 4.0, 6.0), jittered),
    Damage("time-shift", "time shift", "frames", (1.0, 2.0, 3.0, 4.0, 6.0), delayed),
    Damage("identity-mix", "identity mix", "share", (0.1, 0.2, 0.4, 0.6, 0.8), mixed),
    Damage("dropped-frames", "dropped frames", "share", (0.1, 0.2, 0.4, 0.6, 0.8), dropped),
    Damage("compression", "compression", "100 - quality", (20.0, 50.0, 70.0, 85.0, 95.0), compressed),
    Damage("landmark-noise", "landmark noise", "px", (0.5, 1.0, 2.0, 3.0, 5.0), None),
)
