"""What a trainable method gives the training loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler


@dataclass(frozen=True)
class TrainingSchedule:
    """The numbers of a preset that the loop needs; the method's own weights stay in the method.

    Args:
        resolution: frames are square, this many pixels.
        batch_size: pairs per step.
        steps: optimisation steps in all.
        id_sampling: draw an identity first, then one of its clips (FOMM's `id_sampling`).
        horizontal_flip, time_flip: whether the pair augmentation of the FOMM family draws them.
        jitter: brightness, contrast, saturation, hue ranges of the colour jitter; zeros switch it off.
        references: further frames of the clip with every pair, as views of the source.
    """

    resolution: int
    batch_size: int
    steps: int
    id_sampling: bool = False
    horizontal_flip: bool = True
    time_flip: bool = True
    jitter: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    references: int = 0


@dataclass(frozen=True)
class FramePair:
    """One training batch: two frames of one clip each.

    Args:
        source, driving: `[B, 3, H, W]` RGB in [0, 1].
        references: `[B, R, 3, H, W]`, further frames of the clips where the schedule asks for them.
        identity: `[B]`, number of the identity among those of the training split, from 0; None where unknown.
    """

    source: Tensor
    driving: Tensor
    references: Tensor | None = None
    identity: Tensor | None = None


@dataclass(frozen=True)
class TrainingRequest:
    """What is to be trained, and with what.

    Args:
        preset: `tiny`, `paper` or another that the method has.
        perceptual: frozen network, frames `[B, 3, H, W]` in [0, 1] -> list of feature maps (raw activations, one
            tensor per tap).
        resolution, steps: in place of the preset's; None keeps it.
        identities: how many the training split has.
    """

    preset: str
    perceptual: nn.Module
    resolution: int | None = None
    steps: int | None = None
    identities: int = 1


class TrainingTask(Protocol):
    """Networks, losses and optimisers of one method under one preset.

    Attributes:
        schedule: what the loop needs to know.
        networks: everything that is trained and saved in a resumable checkpoint, and what that builds upon.
        frozen: names of networks that this task does not train; their weights have to be given.
    """

    schedule: TrainingSchedule
    networks: nn.ModuleDict
    frozen: tuple[str, ...]

    def optimizers(self) -> dict[str, Optimizer]:
        """The optimisers, by name, over the parameters of `networks`."""
        ...

    def schedulers(self, optimizers: dict[str, Optimizer]) -> list[LRScheduler]:
        """Learning-rate schedulers, stepped once per optimisation step."""
        ...

    def step(
        self, pair: FramePair, optimizers: dict[str, Optimizer], backward: Callable[[Tensor], None]
    ) -> dict[str, Tensor]:
        """One step: losses, `backward`, optimiser steps.

        Returns:
            Detached scalar losses by name; `total` among them.
        """
        ...

    def sample(self, pair: FramePair) -> Tensor:
        """Generated frames for the sample grid, `[B, 3, H, W]` in [0, 1], in eval mode."""
        ...

    def export(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Tensors to ship (inference networks only, published names) and metadata (`configuration` as JSON)."""
        ...


class TrainingTaskBuilder(Protocol):
    """The callable a method card's `training` names."""

    def __call__(self, request: TrainingRequest) -> TrainingTask:
        """The task with freshly initialised networks.

        Raises:
            UnknownNameError: no such preset.
            BenchbedError: the networks cannot work at that resolution.
        """
        ...
