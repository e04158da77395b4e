"""Animation by key points with local affine motion: the test-time modes FOMM, DAM, HDAM and MTIA share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError, CheckpointError

from .background import BackgroundPredictor
from .first_order import Generation, OcclusionAwareGenerator, SourceFeatures
from .first_order_config import TransferConfig
from .motion import Keypoints
from .transfer import transfer_keypoints

TRANSFERS = ("absolute", "relative")
BACKGROUND = "bg_predictor"


@dataclass(frozen=True)
class Encoding:
    """A source: its encoded appearance (with the image itself) and its key points, a batch of one each."""

    features: SourceFeatures
    keypoints: Keypoints


class FirstOrderAnimation(nn.Module):
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
        if transfer.background == "always" and (background is None or not background.entries):
            raise CheckpointError(
                f"configuration '{configuration}' wants the background's motion predicted, but the weights have "
                "no background predictor; leave out +background"
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
        return {
            f"{transfer}_background": "predicted" if self.predicts_background(transfer) else "still"
            for transfer in TRANSFERS
        }

    def predicts_background(self, transfer: str) -> bool:
        """Whether a transfer predicts the background's motion; otherwise it stands still."""
        use = self.transfer.background
        if self.bg_predictor is None or not self.bg_predictor.entries:
            return False
        return use == "always" or (use == "absolute" and transfer == "absolute")

    def keypoints(self, frames: Tensor) -> Keypoints:
        """The key points of frames `(B, 3, H, W)` that the generator is moved by."""
        return self.kp_detector(frames)

    @torch.no_grad()
    def encode(self, source: Tensor, references: Tensor | None = None) -> Encoding:
        """Appearance and key points of a source `(1, 3, H, W)` in [0, 1]; further views are not used.

        Raises:
            BenchbedError: the size is not one the networks can halve as often as they need to.
        """
        self._check_size(source)
        return Encoding(self.generator.encode(source), self.keypoints(source))

    @torch.no_grad()
    def animate(
        self,
        encoding: Encoding,
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
            background = self.bg_predictor(
                encoding.features.appearance.image.expand(len(driving), -1, -1, -1), driving
            )
        return self.generate(encoding, keypoints, background).prediction

    def driving_keypoints(
        self,
        encoding: Encoding,
        driving: Tensor,
        *,
        initial_driving: Tensor | None = None,
        transfer: str = "absolute",
    ) -> Keypoints:
        """The key points handed to the generator, one set per driving frame."""
        if transfer not in TRANSFERS:
            raise BenchbedError(
                f"unknown transfer '{transfer}' for {self.name}; known: {', '.join(TRANSFERS)}"
            )
        relative = transfer == "relative" and self.transfer.relative_movement
        if relative and initial_driving is None:
            raise BenchbedError(
                "relative transfer needs the first frame of the driving clip; give initial_driving"
            )
        self._check_size(driving)
        return transfer_keypoints(
            encoding.keypoints,
            self.keypoints(driving),
            self.keypoints(initial_driving) if initial_driving is not None and relative else None,
            relative=relative,
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
        height, width = frames.shape[2:]
        if height % self.size_multiple or width % self.size_multiple:
            raise BenchbedError(
                f"{self.name} cannot work on frames of {width}x{height} pixels; "
                f"both sides must be multiples of {self.size_multiple} in this configuration"
            )
