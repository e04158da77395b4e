"""Face-vid2vid as a method of the bench: encode a source once, animate it with any number of driving frames."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..blocks.building import build_released
from ..blocks.frame_size import require_multiples
from ..blocks.motion import Keypoints
from ..blocks.transfer import initial_frame, transfer_keypoints
from .canonical_keypoints import CanonicalKeypointDetector
from .checkpoint import RELEASES, inference_networks
from .config import Facevid2vidConfig, facevid2vid_config
from .generator import Appearance, Generation, VolumeGenerator
from .head_pose import HeadPoseEstimator
from .pose import View, posed


@dataclass(frozen=True)
class Encoding:
    """A source, a batch of one.

    Args:
        appearance: its appearance in space.
        canonical: its key points facing the front, without expression.
        keypoints: its key points as they are.
    """

    appearance: Appearance
    canonical: Keypoints
    keypoints: Keypoints


class Facevid2vid(nn.Module):
    """One-Shot Free-View Neural Talking-Head Synthesis (Wang et al., CVPR 2021).

    Args:
        config: describes the networks and relative transfer.
        networks: `generator`, `kp_detector` and `he_estimator`; freshly initialised ones where None.
        configuration: what the configuration is called.
        trained_on: name of the dataset the weights were trained on.
    """

    def __init__(
        self,
        config: Facevid2vidConfig,
        networks: nn.ModuleDict | None = None,
        *,
        configuration: str = "own",
        trained_on: str = "unknown",
    ) -> None:
        super().__init__()
        networks = inference_networks(config) if networks is None else networks
        generator, detector = networks["generator"], networks["kp_detector"]
        estimator = networks["he_estimator"]
        if not (
            isinstance(generator, VolumeGenerator)
            and isinstance(detector, CanonicalKeypointDetector)
            and isinstance(estimator, HeadPoseEstimator)
        ):
            raise TypeError("networks must hold face-vid2vid's generator, kp_detector and he_estimator")
        self.generator = generator
        self.kp_detector = detector
        self.he_estimator = estimator
        self.config = config
        self.resolution = config.resolution
        self.trained_on = trained_on
        self.conventions = {
            "configuration": configuration,
            "align_corners": str(config.generator.align_corners).lower(),
            "generator": config.generator.kind,
            "rotation": config.rotation,
            "adapt_movement_scale": str(config.adapt_movement_scale).lower(),
        }

    @torch.no_grad()
    def encode(self, source: Tensor, references: Tensor | None = None) -> Encoding:
        """Appearance and key points of a source `(1, 3, H, W)` in [0, 1]; further views are not used.

        Raises:
            BenchbedError: the size is not one the networks can halve as often as they need to.
        """
        self._check_size(source)
        canonical = self.kp_detector(source)
        return Encoding(self.generator.encode(source), canonical, self.posed_keypoints(canonical, source))

    @torch.no_grad()
    def animate(
        self,
        encoding: Encoding,
        driving: Tensor,
        *,
        initial_driving: Tensor | None = None,
        transfer: str = "absolute",
        view: View | None = None,
    ) -> Tensor:
        """The source in the poses of the driving frames; see `benchbed.interfaces.method.Method`.

        Args:
            view: angles that replace those of the driving frames (free view); not those of the initial one.

        Raises:
            BenchbedError: unknown transfer, or relative transfer without its initial frame.
        """
        keypoints = self.driving_keypoints(
            encoding, driving, initial_driving=initial_driving, transfer=transfer, view=view
        )
        return self.generate(encoding, keypoints).prediction

    @torch.no_grad()
    def driving_keypoints(
        self,
        encoding: Encoding,
        driving: Tensor,
        *,
        initial_driving: Tensor | None = None,
        transfer: str = "absolute",
        view: View | None = None,
    ) -> Keypoints:
        """The key points `(N, K, 3)` handed to the generator, one set per driving frame; see `animate`."""
        initial = initial_frame("facevid2vid", transfer, initial_driving)
        return transfer_keypoints(
            encoding.keypoints,
            self.posed_keypoints(encoding.canonical, driving, view),
            None if initial is None else self.posed_keypoints(encoding.canonical, initial),
            relative=initial is not None,
            adapt_movement_scale=self.config.adapt_movement_scale,
        )

    def posed_keypoints(self, canonical: Keypoints, frames: Tensor, view: View | None = None) -> Keypoints:
        """Canonical key points in the pose and expression of frames `(N, 3, H, W)`."""
        self._check_size(frames)
        return posed(canonical, self.he_estimator(frames), view=view, beta=self.config.rotation == "beta")

    @torch.no_grad()
    def generate(self, encoding: Encoding, keypoints: Keypoints) -> Generation:
        """The source with given driving key points, `(N, K, 3)`."""
        count = len(keypoints.value)
        return self.generator.decode(
            encoding.appearance.expand(count), encoding.keypoints.expand(count), keypoints
        )

    def _check_size(self, frames: Tensor) -> None:
        require_multiples("facevid2vid", frames, size_multiple(self.config))


def size_multiple(config: Facevid2vidConfig) -> int:
    """Both sides of every frame must be multiples of this many pixels."""
    detector, generator = config.keypoint_detector, config.generator
    return math.lcm(
        round(2**detector.num_blocks / detector.scale_factor),
        round(
            2 ** (generator.num_down_blocks + generator.dense_motion.num_blocks)
            / generator.dense_motion.scale_factor
        ),
    )


def build(*, checkpoint: Path | None, configuration: str | None) -> Facevid2vid:
    """Face-vid2vid with the weights of a file, in eval mode on the CPU; see `build_released`.

    Args:
        checkpoint: safetensors of ours or a released file of the unofficial implementation.
        configuration: an official one, optionally with the options of `official`; None reads it from the file.
    """
    return build_released(
        "facevid2vid",
        Facevid2vid,
        facevid2vid_config,
        RELEASES,
        checkpoint,
        configuration,
        wanted=(
            "give one of those released with the unofficial implementation (Vox-256-New or Vox-256-Beta) with "
            "--checkpoint facevid2vid=FILE"
        ),
    )
