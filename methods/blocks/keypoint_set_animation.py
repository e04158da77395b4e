"""Animation by a map of the plane per set of key points: the networks and test-time modes TPSMM and CPABMM share."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError

from .animation import background_conventions
from .background import background_motion
from .disentanglement import DisentanglementNetwork
from .frame_size import require_multiples
from .inpainting import InpaintingNetwork
from .keypoint_animation import KeypointAnimation
from .keypoint_set_config import KeypointSetConfig
from .motion import Keypoints
from .multi_occlusion_motion import MultiOcclusionMotion, MultiOcclusionMotionNetwork
from .resnet_keypoints import ResNetBackgroundPredictor, ResNetKeypointDetector
from .transfer import transfer_keypoints
from .warping_generator import Appearance

BACKGROUND, AVD = "bg_predictor", "avd_network"
LACKABLE = (BACKGROUND, AVD)


@dataclass(frozen=True)
class Encoding:
    """A source: its image and encoded appearance, itself at the size of the motion, its key points; a batch of one."""

    appearance: Appearance
    downsampled: Tensor
    keypoints: Keypoints

    @property
    def image(self) -> Tensor:
        """The source itself, `(1, 3, H, W)`."""
        return self.appearance.image


@dataclass(frozen=True)
class Generation:
    """Generated images `(B, C, H, W)` in [0, 1] and the motion they were made with."""

    prediction: Tensor
    motion: MultiOcclusionMotion


def keypoint_set_networks(
    config: KeypointSetConfig, held: frozenset[str] = frozenset(LACKABLE), *, extra_motions: int = 0
) -> nn.ModuleDict:
    """The networks under their checkpoint names, freshly initialised.

    Args:
        held: which of `LACKABLE` to build, where the configuration describes them.
        extra_motions: candidate motions besides the background's and one per set.
    """
    dense, inpainting, avd = config.dense_motion, config.inpainting, config.disentanglement
    networks: dict[str, nn.Module] = {
        "kp_detector": ResNetKeypointDetector(config.num_keypoints, config.resnet_width),
        "dense_motion_network": MultiOcclusionMotionNetwork(
            num_motions=1 + config.num_sets + extra_motions,
            num_keypoints=config.num_keypoints,
            num_channels=config.num_channels,
            block_expansion=dense.block_expansion,
            max_features=dense.max_features,
            num_blocks=dense.num_blocks,
            scale_factor=dense.scale_factor,
            multi_mask=config.multi_mask,
        ),
        "inpainting_network": InpaintingNetwork(
            num_channels=config.num_channels,
            block_expansion=inpainting.block_expansion,
            max_features=inpainting.max_features,
            num_down_blocks=inpainting.num_down_blocks,
            multi_mask=config.multi_mask,
        ),
    }
    if BACKGROUND in held and config.background:
        networks[BACKGROUND] = ResNetBackgroundPredictor(config.resnet_width)
    if AVD in held and avd is not None:
        networks[AVD] = DisentanglementNetwork(
            size=2 * config.num_keypoints,
            id_bottle_size=avd.id_bottle_size,
            pose_bottle_size=avd.pose_bottle_size,
        )
    return nn.ModuleDict(networks)


class KeypointSetAnimation(KeypointAnimation[Encoding]):
    """A method whose motion combines one map of the plane per set of key points.

    Args:
        name: registered name, for sentences.
        config: describes the networks and the test-time choices.
        networks: under their checkpoint names; `bg_predictor` and `avd_network` may be absent.
        configuration: what the configuration is called.
        trained_on: name of the dataset the weights were trained on.

    Raises:
        CheckpointError: the configuration wants a network that is not among them.
    """

    def __init__(
        self,
        name: str,
        config: KeypointSetConfig,
        networks: nn.ModuleDict,
        *,
        configuration: str = "own",
        trained_on: str = "unknown",
    ) -> None:
        super().__init__()
        held = dict(networks.items())
        detector, dense = held["kp_detector"], held["dense_motion_network"]
        inpainting, background, avd = held["inpainting_network"], held.get(BACKGROUND), held.get(AVD)
        if not (
            isinstance(detector, ResNetKeypointDetector)
            and isinstance(dense, MultiOcclusionMotionNetwork)
            and isinstance(inpainting, InpaintingNetwork)
            and isinstance(background, ResNetBackgroundPredictor | None)
            and isinstance(avd, DisentanglementNetwork | None)
        ):
            raise TypeError(
                f"networks must hold {name}'s kp_detector, dense_motion_network and inpainting_network"
            )
        config.animation.require_networks(
            configuration, avd=avd is not None, background=background is not None
        )
        self.name = name
        self.kp_detector = detector
        self.dense_motion_network = dense
        self.inpainting_network = inpainting
        self.bg_predictor = background
        self.avd_network = avd
        self.config = config
        self.resolution = config.resolution
        self.trained_on = trained_on
        self.conventions = {
            "configuration": configuration,
            "align_corners": "true",
            "absolute_pose": "avd" if config.animation.avd else "driving",
            **background_conventions(self.predicts_background),
            "adapt_movement_scale": "true",
        }

    @abstractmethod
    def set_motions(self, source: Keypoints, driving: Keypoints, size: tuple[int, int]) -> Tensor:
        """Where every pixel comes from under the maps fitted to the sets, `(B, M - 1, *size, 2)`."""

    def predicts_background(self, transfer: str) -> bool:
        """Whether a transfer predicts the background's motion; otherwise it stands still."""
        return self.bg_predictor is not None and self.config.animation.predicts_background(transfer)

    @torch.no_grad()
    def encode(self, source: Tensor, references: Tensor | None = None) -> Encoding:
        """Appearance and key points of a source `(1, 3, H, W)` in [0, 1]; further views are not used.

        Raises:
            BenchbedError: the size is not one the networks can halve as often as they need to.
        """
        self._check_size(source)
        return Encoding(
            self.inpainting_network.look(source),
            self.dense_motion_network.downsample(source),
            self.keypoints(source),
        )

    def transferred(self, source: Keypoints, driving: Keypoints, initial: Keypoints | None) -> Keypoints:
        """The driving key points, posed by the AVD network, or relative to the initial ones where there are any."""
        if initial is None and self.config.animation.avd:
            return self.posed(source, driving)
        return transfer_keypoints(
            source, driving, initial, relative=initial is not None, adapt_movement_scale=True
        )

    def posed(self, source: Keypoints, driving: Keypoints) -> Keypoints:
        """The source's key points in the pose of the driving ones, as the AVD network has them.

        Raises:
            BenchbedError: the weights hold no AVD network.
        """
        if self.avd_network is None:
            raise BenchbedError(f"these weights of {self.name} hold no AVD network; leave out +avd")
        identity = source.value.flatten(1).expand(len(driving.value), -1)
        return Keypoints(self.avd_network(identity, driving.value.flatten(1)).float().unflatten(1, (-1, 2)))

    def generate(
        self, encoding: Encoding, keypoints: Keypoints, background: Tensor | None = None
    ) -> Generation:
        """The source with given driving key points, `(N, P, 2)`, and motion of the background, `(N, 3, 3)`."""
        count = len(keypoints.value)
        motion = self.move(
            encoding.downsampled.expand(count, -1, -1, -1),
            Keypoints(encoding.keypoints.value.expand(count, -1, -1)),
            keypoints,
            background,
        )
        appearance = encoding.appearance.expand(count)
        return Generation(
            self.inpainting_network.paint(appearance, motion.deformation, motion.occlusion_maps), motion
        )

    def move(
        self,
        downsampled: Tensor,
        source: Keypoints,
        driving: Keypoints,
        background: Tensor | None = None,
        keep: Tensor | None = None,
    ) -> MultiOcclusionMotion:
        """Dense motion of B sources, already at the size of the motion, to B sets of driving key points.

        Args:
            keep: see `MultiOcclusionMotionNetwork.forward`.
        """
        height, width = downsampled.shape[2:]
        still = background_motion(background, height, width, like=driving.value)
        maps = self.set_motions(source, driving, (height, width))
        motions = torch.cat((still.expand(len(maps), -1, -1, -1).unsqueeze(1), maps), dim=1)
        return self.dense_motion_network(downsampled, source, driving, motions, keep)

    def _check_size(self, frames: Tensor) -> None:
        # A normalisation over the pixels of a map needs more than one of them.
        require_multiples(self.name, frames, size_multiple(self.config), one_larger=True)


def size_multiple(config: KeypointSetConfig) -> int:
    """Both sides of every frame must be multiples of this many pixels, and one of them larger."""
    dense = config.dense_motion
    return math.lcm(round(2**dense.num_blocks / dense.scale_factor), 2**config.inpainting.num_down_blocks)
