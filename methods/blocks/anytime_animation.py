"""Animation in two stages: the best of a few images between source and driving pose, then from it to that pose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from .anytime_config import AnytimeConfig
from .inpainting import InpaintingNetwork, warp_aligned
from .interpolation import (
    appearance_distances,
    background_between,
    best_candidate,
    between,
    pose_distances,
)
from .keypoint_set_animation import LACKABLE, Encoding, Generation, keypoint_set_networks
from .motion import Keypoints
from .multi_occlusion_motion import MultiOcclusionMotion
from .spline_animation import SplineAnimation
from .vision_transformer import FrozenTransformer, stored_transformer
from .warping_generator import Appearance

APPEARANCE = "appearance"
# Images `(B, 3, H, W)` to the background's motion from them to the driving frames, `(B, 3, 3)`.
Background = Callable[[Tensor], Tensor | None]


@dataclass(frozen=True)
class View:
    """B images that are moved: encoded, at the size of the motion, and their key points."""

    appearance: Appearance
    downsampled: Tensor
    keypoints: Keypoints

    @property
    def image(self) -> Tensor:
        """The images themselves, `(B, 3, H, W)`."""
        return self.appearance.image


@dataclass(frozen=True)
class AnytimeEncoding(Encoding):
    """A source, and its appearance `(1, W)` as the transformer sees it."""

    token: Tensor

    def expand(self, count: int) -> View:
        """The source seen as `count` images, without copying."""
        return View(
            self.appearance.expand(count),
            self.downsampled.expand(count, -1, -1, -1),
            self.keypoints.expand(count),
        )


@dataclass(frozen=True)
class Choice:
    """The chosen images between, `(B, 3, H, W)` without the gradient, and their times, `(B)`."""

    images: Tensor
    times: Tensor


@dataclass(frozen=True)
class Passage:
    """One way from images to driving poses, by the images between.

    Args:
        prediction: `(B, 3, H, W)` in [0, 1], the driving poses.
        deformed: the images the second stage starts from, warped by its motion alone.
        middle: the images between.
        views, motions: what the second stage moved, and how; the images between come last.
    """

    prediction: Tensor
    deformed: Tensor
    middle: View
    views: tuple[View, ...]
    motions: tuple[MultiOcclusionMotion, ...]


@dataclass(frozen=True)
class AnytimeGeneration(Generation):
    """Generated images, and the way to them.

    Args:
        times: `(B)`, the chosen ones.
        interpolated: `(B, 3, H, W)`, the images between.
    """

    times: Tensor
    interpolated: Tensor


def anytime_networks(config: AnytimeConfig, held: frozenset[str] = frozenset(LACKABLE)) -> nn.ModuleDict:
    """TPSMM's networks under their checkpoint names, and the transformer where its weights are in no store."""
    networks = keypoint_set_networks(config, held)
    if not config.transformer.weights:
        networks[APPEARANCE] = FrozenTransformer(config.transformer)
    return networks


class AnytimeAnimation(SplineAnimation):
    """Large Displacement Motion Transfer with Unsupervised Anytime Interpolation; see `KeypointSetAnimation`.

    Args:
        networks: under their checkpoint names, `appearance` where the transformer's weights are in no store.
        transformer: in place of that of the networks or the store.

    Raises:
        WeightsMissingError: the weights store has no weights of the transformer.
    """

    config: AnytimeConfig

    def __init__(
        self,
        name: str,
        config: AnytimeConfig,
        networks: nn.ModuleDict,
        *,
        configuration: str = "own",
        trained_on: str = "unknown",
        transformer: FrozenTransformer | None = None,
    ) -> None:
        super().__init__(name, config, networks, configuration=configuration, trained_on=trained_on)
        if transformer is None:
            held = dict(networks.items()).get(APPEARANCE)
            transformer = cast(FrozenTransformer, held) if held else stored_transformer(config.transformer)
        self.appearance = transformer
        self.conventions["appearance"] = config.transformer.weights or "random transformer, seed 0"
        self.conventions["stage2_keypoints"] = config.interpolation.stage2_keypoints

    @torch.no_grad()
    def encode(self, source: Tensor, references: Tensor | None = None) -> AnytimeEncoding:
        """All that depends on a source `(1, 3, H, W)` in [0, 1] alone; further views are not used.

        Raises:
            BenchbedError: the size is not one the networks can halve as often as they need to.
        """
        return AnytimeEncoding(
            **vars(super().encode(source, references)), token=self.appearance(source).appearance
        )

    @torch.no_grad()
    def animate(
        self,
        encoding: Encoding,
        driving: Tensor,
        *,
        initial_driving: Tensor | None = None,
        transfer: str = "absolute",
    ) -> Tensor:
        """The source in the poses of the driving frames; see `benchbed.interfaces.method.Method`."""
        keypoints = self.driving_keypoints(
            encoding, driving, initial_driving=initial_driving, transfer=transfer
        )
        predictor = self.bg_predictor
        if predictor is None or not self.predicts_background(transfer):
            return self.generate(encoding, keypoints).prediction
        background = predictor(encoding.image.expand(len(driving), -1, -1, -1), driving)
        return self.generate(encoding, keypoints, background, driving).prediction

    def generate(
        self,
        encoding: Encoding,
        keypoints: Keypoints,
        background: Tensor | None = None,
        driving: Tensor | None = None,
    ) -> AnytimeGeneration:
        """The source with given driving key points `(N, P, 2)`, and the times that were chosen.

        Args:
            background: its motion from the source to the driving frames, `(N, 3, 3)`; None leaves it still.
            driving: the driving frames `(N, 3, H, W)`, to which the second stage predicts the background's motion
                anew; needed where the first has one.
        """
        if not isinstance(encoding, AnytimeEncoding):
            raise TypeError("encode the source with this method")
        if (background is None) != (driving is None):
            raise TypeError("give the background's motion and the driving frames together")
        predictor = self.bg_predictor

        def onwards(images: Tensor) -> Tensor | None:
            return None if predictor is None or driving is None else predictor(images, driving)

        source = encoding.expand(len(keypoints.value))
        choice = self.choose(source, encoding.token, keypoints, background)
        towards = between(source.keypoints, keypoints, choice.times)
        passage = self.go_on(source, choice.images, towards, keypoints, background, onwards)
        return AnytimeGeneration(passage.prediction, passage.motions[-1], choice.times, choice.images)

    def view(self, images: Tensor, keypoints: Keypoints | None = None) -> View:
        """Images `(B, 3, H, W)` as they are moved; their key points are detected where none are given."""
        return View(
            self.inpainting_network.look(images),
            self.dense_motion_network.downsample(images),
            self.keypoints(images) if keypoints is None else keypoints,
        )

    def keypoints(self, frames: Tensor) -> Keypoints:
        """Key points of frames, in float32 always: the fits enlarge the rounding of half precision."""
        with torch.autocast(frames.device.type, enabled=False):
            return self.kp_detector(frames)

    @torch.no_grad()
    def choose(
        self,
        source: View,
        token: Tensor,
        driving: Keypoints,
        background: Tensor | None,
        keep: Tensor | None = None,
    ) -> Choice:
        """The images between that are nearest to source and driving pose at once.

        Args:
            token: appearance of the sources, `(B or 1, W)`.
            background: its motion from the sources to the driving frames.
            keep: see `MultiOcclusionMotionNetwork.forward`.
        """
        offered = torch.tensor(self.config.interpolation.times, device=driving.value.device)
        images, tokens, poses = [], [], []
        for time in offered:
            times = time.expand(len(driving.value))
            poses.append(between(source.keypoints, driving, times))
            images.append(self.step(source, poses[-1], background_between(background, times), keep))
            tokens.append(self.appearance(images[-1]).appearance)
        best = best_candidate(appearance_distances(tokens, token), pose_distances(poses, driving))
        return Choice(torch.stack(images)[best, torch.arange(len(best), device=best.device)], offered[best])

    def step(
        self, view: View, driving: Keypoints, background: Tensor | None, keep: Tensor | None = None
    ) -> Tensor:
        """Images `(B, 3, H, W)` moved to driving key points by one view of them: the first stage.

        Source: Anytime, eq. 2 and 3.
        """
        motion = self.move(view.downsampled, view.keypoints, driving, background, keep)
        return self.inpainting_network.paint(view.appearance, motion.deformation, motion.occlusion_maps)

    def pass_through(
        self,
        source: View,
        towards: Keypoints,
        driving: Keypoints,
        background: Tensor | None,
        direct: Tensor | None,
        onwards: Background,
        keep: tuple[Tensor | None, Tensor | None] = (None, None),
    ) -> Passage:
        """Both stages, with the gradient.

        Args:
            towards, driving: key points of the images between, and of the driving frames.
            background: its motion from the sources to the images between; `direct` to the driving frames.
            onwards: predicts that from the images between to the driving frames.
            keep: of the first and of the second stage, see `MultiOcclusionMotionNetwork.forward`.
        """
        first, second = keep
        image = self.step(source, towards, background, first)
        return self.go_on(source, image, towards, driving, direct, onwards, second)

    def go_on(
        self,
        source: View,
        image: Tensor,
        towards: Keypoints,
        driving: Keypoints,
        direct: Tensor | None,
        onwards: Background,
        keep: Tensor | None = None,
    ) -> Passage:
        """The second stage, from the images between; see `pass_through`.

        Args:
            image: the images between, `(B, 3, H, W)`.
        """
        detects = self.config.interpolation.stage2_keypoints == "detect"
        middle = self.view(image, None if detects else towards)
        views = self.views(source, middle)
        motions = tuple(
            self.move(
                view.downsampled,
                view.keypoints,
                driving,
                onwards(image) if view is middle else direct,
                keep,
            )
            for view in views
        )
        return Passage(*self.combine(views, motions), middle, views, motions)

    def views(self, source: View, middle: View) -> tuple[View, ...]:
        """What the second stage looks at: the image between alone."""
        return (middle,)

    def combine(
        self, views: tuple[View, ...], motions: tuple[MultiOcclusionMotion, ...]
    ) -> tuple[Tensor, Tensor]:
        """The images that the second stage makes of its views, and the views warped."""
        (view,), (motion,) = views, motions
        network = cast(InpaintingNetwork, self.inpainting_network)
        return (
            network.paint(view.appearance, motion.deformation, motion.occlusion_maps),
            warp_aligned(view.image, motion.deformation),
        )
