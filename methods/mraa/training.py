"""Training MRAA: its regions, generator and background under a preset, for the training on pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError
from benchbed.interfaces.training import TrainingRequest

from ..blocks.background import BackgroundPredictor
from ..blocks.motion import Keypoints
from ..training.copying import start_still
from ..training.disentangling import Disentangling, DisentanglingPreset
from ..training.equivariance_terms import equivariance_losses
from ..training.pair_training import PairTraining, Reconstruction
from ..training.presets import preset_named
from .avd import disentangle
from .checkpoint import inference_networks
from .config import mraa_config
from .generator import RegionGenerator
from .method import Mraa, size_multiple
from .presets import MraaPreset, presets
from .region_predictor import RegionPredictor
from .regions import Regions


@dataclass(frozen=True)
class RegionReconstruction(Reconstruction):
    """A reconstruction and the regions of the driving frames it was made with."""

    driving: Regions | None = None


class RegionPoses:
    """Regions of one frame, by the shape of another and its own stretched pose; see `disentangling.PoseModel`.

    Args:
        method: with the networks that animate.
        networks: the same, under their checkpoint names.

    Raises:
        BenchbedError: the configuration describes no AVD network.
    """

    def __init__(self, method: Mraa, networks: nn.ModuleDict) -> None:
        own = method.config.disentanglement
        if method.avd_network is None or own is None:
            raise BenchbedError("this configuration of mraa has no AVD network to train")
        self.method = method
        self.avd_network = method.avd_network
        self.revert_axis_swap = own.revert_axis_swap
        self.networks = networks
        self.size_multiple = size_multiple(method.config)

    def losses(self, source: Tensor, driving: Tensor, factors: Tensor) -> dict[str, Tensor]:
        """Mean absolute errors of the regions' centres and of their affine shape.

        Source: MRAA, section 3.5 and its published code.
        """
        with torch.no_grad():
            of_source, wanted = self.method.region_predictor(source), self.method.region_predictor(driving)
        if wanted.affine is None:
            raise BenchbedError("the AVD network needs the affine shape of regions; set estimate_affine")
        pose = Regions(wanted.shift * factors[:, None], wanted.affine * factors[:, None, :, None])
        posed = disentangle(self.avd_network, of_source, pose, revert_axis_swap=self.revert_axis_swap)
        return {
            "shift": (wanted.shift - posed.shift).abs().mean(),
            "affine": (wanted.affine - cast(Tensor, posed.affine)).abs().mean(),
        }

    def animate(self, source: Tensor, driving: Tensor) -> Tensor:
        """The source in the poses of driving frames."""
        return self.method.animate(self.method.encode(source), driving)


class RegionPairs:
    """MRAA's part of training on pairs, see `pair_training.PairModel`; the AVD network is trained after it.

    Args:
        preset: networks and loss weights.
    """

    def __init__(self, preset: MraaPreset) -> None:
        config = mraa_config(preset.published)
        networks = inference_networks(config, avd=False)
        regions, background = networks["region_predictor"], networks["bg_predictor"]
        generator = networks["generator"]
        if not (
            isinstance(regions, RegionPredictor)
            and isinstance(background, BackgroundPredictor)
            and isinstance(generator, RegionGenerator)
        ):
            raise TypeError("networks must hold MRAA's region_predictor, bg_predictor and generator")
        self.networks = networks
        self.regions, self.background_predictor, self.generator = regions, background, generator
        self.configuration: Mapping[str, Any] = {**preset.published, "align_corners": config.align_corners}
        self.size_multiple = size_multiple(config)
        self.free_sign = config.generator.flow.revert_axis_swap
        self.preset = preset
        if preset.recipe.additions.copier:
            # The last skip blends the warped source itself into the image: to show all of it is to copy.
            flow = generator.pixelwise_flow_predictor
            start_still(flow.mask, [flow.occlusion])

    def detect(self, frames: Tensor) -> Regions:
        """Regions of frames, in float32 always.

        The softmax at temperature 0.1 turns the rounding of half precision into jumping regions.
        """
        with torch.autocast(frames.device.type, enabled=False):
            return self.regions(frames)

    def keypoints(self, frames: Tensor) -> Keypoints:
        """Centres and affine shape of the regions of frames."""
        return self.detect(frames).keypoints

    def reconstruct(self, source: Tensor, driving: Tensor) -> RegionReconstruction:
        """Sources in the pose of the driving frames."""
        of_source, of_driving = self.detect(source), self.detect(driving)
        background = None
        if self.background_predictor.entries:
            with torch.autocast(source.device.type, enabled=False):
                background = self.background_predictor(source, driving)
        generation = self.generator(source, of_source, of_driving, background)
        deformed = self.generator.deform(source, generation.flow)
        return RegionReconstruction(generation.prediction, deformed, of_driving.shift, driving=of_driving)

    def losses(self, source: Tensor, driving: Tensor, made: RegionReconstruction) -> dict[str, Tensor]:
        """The equivariance of the driving frames' regions.

        Source: MRAA, section 3.3, as FOMM's; axes are compared up to their sign.
        """
        if made.driving is None:
            raise TypeError("these losses are of a reconstruction with its regions")
        return equivariance_losses(
            self.keypoints,
            driving,
            made.driving.keypoints,
            self.preset.warps,
            value=self.preset.shift_weight,
            jacobian=self.preset.affine_weight,
            align_corners=self.generator.align_corners,
            free_sign=self.free_sign,
        )

    def colour_path(self) -> list[nn.Module]:
        """The blocks of the generator that colours pass through: all but its flow."""
        blocks = self.generator.named_children()
        return [block for name, block in blocks if name != "pixelwise_flow_predictor"]


def build_training(request: TrainingRequest) -> PairTraining | Disentangling:
    """MRAA under a preset; see `benchbed.interfaces.training.TrainingTaskBuilder`.

    Args:
        request: with preset `tiny`, or `paper` (the VoxCeleb recipe, also called `vox256`), `tiny-avd` or `paper-avd`.

    Raises:
        UnknownNameError: no such preset.
        BenchbedError: the networks cannot halve that resolution as often as they need to.
    """
    chosen = preset_named("mraa", request.preset, presets()).resized(request.resolution, request.steps)
    if isinstance(chosen, DisentanglingPreset):
        config = mraa_config(chosen.published)
        networks = inference_networks(config)
        return Disentangling("mraa", RegionPoses(Mraa(config, networks), networks), chosen)
    return PairTraining("mraa", chosen.name, RegionPairs(chosen), chosen.recipe, request.perceptual)
