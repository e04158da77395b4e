"""Animation by motion anchors: the networks and the method DAM and HDAM share."""

from __future__ import annotations

from torch import Tensor, nn

from .anchor_config import AnchorConfig
from .anchors import Anchors, split_anchors
from .background import background_predictor
from .first_order import OcclusionAwareGenerator
from .first_order_animation import BACKGROUND, FirstOrderAnimation
from .keypoint_detector import KeypointDetector
from .motion import Keypoints

LACKABLE = (BACKGROUND,)


def anchor_networks(
    config: AnchorConfig, detector: KeypointDetector, held: frozenset[str] = frozenset(LACKABLE)
) -> nn.ModuleDict:
    """The networks under their checkpoint names, freshly initialised but for the given detector.

    Args:
        held: which of `LACKABLE` to build, where the configuration describes them.
    """
    networks: dict[str, nn.Module] = {
        "generator": OcclusionAwareGenerator(config.generator),
        "kp_detector": detector,
    }
    if BACKGROUND in held and config.background is not None:
        networks[BACKGROUND] = background_predictor(config.background)
    return nn.ModuleDict(networks)


class AnchorAnimation(FirstOrderAnimation):
    """A method whose generator is moved by motion anchors; the anchors above them serve training alone.

    Args:
        name: registered name, for sentences.
        config: describes the networks and the test-time choices.
        networks: under their checkpoint names; `bg_predictor` may be absent.
        configuration: what the configuration is called.
        trained_on: name of the dataset the weights were trained on.

    Raises:
        CheckpointError: the configuration wants a network that is not among them.
    """

    kp_detector: KeypointDetector

    def __init__(
        self,
        name: str,
        config: AnchorConfig,
        networks: nn.ModuleDict,
        *,
        configuration: str,
        trained_on: str,
    ) -> None:
        if not isinstance(networks["kp_detector"], KeypointDetector):
            raise TypeError(f"networks must hold {name}'s kp_detector and generator")
        super().__init__(
            name,
            networks,
            config.transfer,
            size_multiple=config.size_multiple,
            resolution=config.resolution,
            configuration=configuration,
            trained_on=trained_on,
        )
        self.num_root_kp = config.num_root_kp
        self.conventions |= self.background_conventions()

    def anchors(self, frames: Tensor) -> Anchors:
        """All anchors of frames `(B, 3, H, W)`."""
        return split_anchors(self.kp_detector(frames), self.num_root_kp)

    def keypoints(self, frames: Tensor) -> Keypoints:
        """The motion anchors of frames `(B, 3, H, W)`."""
        return self.anchors(frames).motion
