"""Animation by key points, however they move the source: from driving frames to transferred key points to frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from .motion import Keypoints
from .transfer import initial_frame


class EncodedSource(Protocol):
    """A source, a batch of one: its image in [0, 1] and its key points, and what else a method needs of it."""

    @property
    def image(self) -> Tensor: ...

    @property
    def keypoints(self) -> Keypoints: ...


class Generated(Protocol):
    """Generated images `(B, C, H, W)` in [0, 1]."""

    @property
    def prediction(self) -> Tensor: ...


Source = TypeVar("Source", bound=EncodedSource)


class KeypointAnimation(nn.Module, ABC, Generic[Source]):
    """A method that takes key points from driving frames to the source, perhaps with the background's motion."""

    name: str
    kp_detector: nn.Module
    bg_predictor: nn.Module | None

    @property
    def relative_movement(self) -> bool:
        """Whether relative transfer moves the source's key points; it takes the driving ones otherwise."""
        return True

    @abstractmethod
    def predicts_background(self, transfer: str) -> bool:
        """Whether a transfer predicts the background's motion; otherwise it stands still."""

    @abstractmethod
    def transferred(self, source: Keypoints, driving: Keypoints, initial: Keypoints | None) -> Keypoints:
        """The driving key points as the generator takes them; relative to the initial ones where there are any."""

    @abstractmethod
    def generate(self, encoding: Source, keypoints: Keypoints, background: Tensor | None = None) -> Generated:
        """The source with given driving key points, `(N, K, 2)`, and motion of the background, `(N, 3, 3)`."""

    @abstractmethod
    def _check_size(self, frames: Tensor) -> None: ...

    def keypoints(self, frames: Tensor) -> Keypoints:
        """The key points of frames `(B, 3, H, W)` that the source is moved by."""
        return self.kp_detector(frames)

    @torch.no_grad()
    def animate(
        self,
        encoding: Source,
        driving: Tensor,
        *,
        initial_driving: Tensor | None = None,
        transfer: str = "absolute",
    ) -> Tensor:
        """The source in the poses of the driving frames; see `benchbed.interfaces.method.Method`.

        Raises:
            BenchbedError: unknown transfer, or relative transfer without its initial frame.
        """
        keypoints = self.driving_keypoints(
            encoding, driving, initial_driving=initial_driving, transfer=transfer
        )
        background = None
        if self.bg_predictor is not None and self.predicts_background(transfer):
            background = self.bg_predictor(encoding.image.expand(len(driving), -1, -1, -1), driving)
        return self.generate(encoding, keypoints, background).prediction

    def driving_keypoints(
        self,
        encoding: Source,
        driving: Tensor,
        *,
        initial_driving: Tensor | None = None,
        transfer: str = "absolute",
    ) -> Keypoints:
        """The key points handed to the generator, one set per driving frame."""
        initial = initial_frame(
            self.name, transfer, initial_driving, relative_movement=self.relative_movement
        )
        self._check_size(driving)
        return self.transferred(
            encoding.keypoints,
            self.keypoints(driving),
            None if initial is None else self.keypoints(initial),
        )
