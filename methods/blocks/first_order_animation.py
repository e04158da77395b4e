"""Animation by key points with local affine motion: the test-time modes FOMM, DAM, HDAM and MTIA share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .animation import background_conventions, require_background
from .background import BackgroundPredictor
from .first_order import Generation, OcclusionAwareGenerator, SourceFeatures
from .first_order_config import TransferConfig
from .frame_size import require_multiples
from .keypoint_animation import KeypointAnimation
from .motion import Keypoints
from .transfer import transfer_keypoints

BACKGROUND = "bg_predictor"


@dataclass(frozen=True)
class Encoding:
    """A source: its encoded appearance (with the image itself) and its key points, a batch of one each."""

    features: SourceFeatures
    keypoints: Keypoints

    @property
    def image(self) -> Tensor:
        """The source itself, `(1, 3, H, W)`."""
        return self.features.appearance.image


class FirstOrderAnimation(KeypointAnimation[Encoding]):
    """A method that moves the source by the affine motion around key points.

    Args:
        name: registered name, for sentences.
        networks: `kp_detector` (image -> key points), `generator` and perhaps `bg_predictor`.
        transfer: test-time choices.
        size_multiple: both sides of every frame must be multiples of this many pixels.
        resolution: (height, width) the weights were trained at.
        configuration: what the configuration is called.
        trained_on: name of the dataset the weights were trained on.

    Raises:
        CheckpointError: the configuration wants a network that is not among them.
    """

    kp_detector: nn.Module
    generator: OcclusionAwareGenerator
    bg_predictor: BackgroundPredictor | None

    def __init__(
        self,
        name: str,
        networks: nn.ModuleDict,
        transfer: TransferConfig,
        *,
        size_multiple: int,
        resolution: tuple[int, int] | None,
        configuration: str,
        trained_on: str,
    ) -> None:
        super().__init__()
        held = dict(networks.items())
        generator, background = held["generator"], held.get(BACKGROUND)
        if not (
            isinstance(generator, OcclusionAwareGenerator)
            and isinstance(background, BackgroundPredictor | None)
        ):
            raise TypeError(f"networks must hold {name}'s kp_detector and generator")
        require_background(
            configuration, transfer.background, background is not None and bool(background.entries)
        )
        self.kp_detector = held["kp_detector"]
        self.generator = generator
        self.bg_predictor = background
        self.name = name
        self.transfer = transfer
        self.size_multiple = size_multiple
        self.resolution = resolution
        self.trained_on = trained_on
        self.conventions = {
            "configuration": configuration,
            "align_corners": str(generator.align_corners).lower(),
            "relative_jacobian": str(transfer.relative_jacobian).lower(),
            "adapt_movement_scale": str(transfer.adapt_movement_scale).lower(),
        }

    def background_conventions(self) -> dict[str, str]:
        """What each transfer does about the background, for methods that may have a predictor."""
        return background_conventions(self.predicts_background)

    def predicts_background(self, transfer: str) -> bool:
        """Whether a transfer predicts the background's motion; otherwise it stands still."""
        use = self.transfer.background
        if self.bg_predictor is None or not self.bg_predictor.entries:
            return False
        return use == "always" or (use == "absolute" and transfer == "absolute")

    @torch.no_grad()
    def encode(self, source: Tensor, references: Tensor | None = None) -> Encoding:
        """Appearance and key points of a source `(1, 3, H, W)` in [0, 1]; further views are not used.

        Raises:
            BenchbedError: the size is not one the networks can halve as often as they need to.
        """
        self._check_size(source)
        return Encoding(self.generator.encode(source), self.keypoints(source))

    @property
    def relative_movement(self) -> bool:
        """As the configuration has it."""
        return self.transfer.relative_movement

    def transferred(self, source: Keypoints, driving: Keypoints, initial: Keypoints | None) -> Keypoints:
        """The driving key points as the generator takes them; relative to the initial ones where there are any."""
        return transfer_keypoints(
            source,
            driving,
            initial,
            relative=initial is not None,
            relative_jacobian=self.transfer.relative_jacobian,
            adapt_movement_scale=self.transfer.adapt_movement_scale,
        )

    def generate(
        self, encoding: Encoding, keypoints: Keypoints, background: Tensor | None = None
    ) -> Generation:
        """The source with given driving key points, `(N, K, 2)`, and motion of the background, `(N, 3, 3)`."""
        count = len(keypoints.value)
        return self.generator.decode(
            encoding.features.expand(count), encoding.keypoints.expand(count), keypoints, background
        )

    def _check_size(self, frames: Tensor) -> None:
        require_multiples(self.name, frames, self.size_multiple)
