"""Recorded stages that all methods with a map of the plane per set of key points have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from benchbed.methods.blocks.inpainting import warp_aligned
from benchbed.methods.blocks.keypoint_set_animation import KeypointSetAnimation
from benchbed.methods.blocks.motion import Keypoints
from benchbed.methods.blocks.multi_occlusion_motion import MultiOcclusionMotion
from benchbed.methods.blocks.transfer import movement_scale, transfer_keypoints

from .fixtures import Fixture, Stage
from .stages import StageFunction

Inputs = dict[str, Tensor]


def given(inputs: Inputs, role: str) -> Keypoints:
    return Keypoints(inputs[f"kp_{role}_given"])


def given_occlusions(inputs: Inputs) -> list[Tensor]:
    count = sum(name.startswith("occlusion_given_") for name in inputs)
    return [inputs[f"occlusion_given_{index}"] for index in range(count)]


def stored_channels(fixture: Fixture, prefix: str, stages: Sequence[Tensor]) -> dict[str, Tensor]:
    """Only the first channels of feature maps are recorded."""
    return {
        f"{prefix}_{index}": maps[:, : fixture.arrays[f"{prefix}_{index}"].shape[1]]
        for index, maps in enumerate(stages)
    }


def motion_outputs(prefix: str, motion: MultiOcclusionMotion) -> dict[str, Tensor]:
    occlusions = {f"{prefix}_occlusion_{index}": maps for index, maps in enumerate(motion.occlusion_maps)}
    return occlusions | {
        f"{prefix}_deformation": motion.deformation.permute(0, 3, 1, 2),
        f"{prefix}_contribution_maps": motion.contribution_maps,
        f"{prefix}_deformed_source": motion.deformed_sources,
    }


def reconstructed(model: KeypointSetAnimation, inputs: Inputs, prefix: str) -> dict[str, Tensor]:
    source, driving = inputs["image_source"], inputs["image_driving"]
    matrix = None if model.bg_predictor is None else model.bg_predictor(source, driving)
    generation = model.generate(model.encode(source), model.keypoints(driving), matrix)
    return {f"{prefix}_prediction": generation.prediction} | motion_outputs(prefix, generation.motion)


def relative(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    source, driving, initial = (
        Keypoints(given(inputs, role).value[:1]) for role in ("source", "driving", "driving_initial")
    )
    points = transfer_keypoints(source, driving, initial, relative=True, adapt_movement_scale=True)
    scale = movement_scale(source.value, initial.value)
    return {"relative_given_kp": points.value, "relative_given_scale": torch.tensor(scale)}


@dataclass(frozen=True)
class SharedStages:
    """Stage functions of one method.

    Args:
        networks: of a fixture's path, with its seeded weights.
        method: of a fixture, with the background still; True puts the pose through the AVD network.
    """

    networks: Callable[[Path], nn.ModuleDict]
    method: Callable[[Fixture, bool], KeypointSetAnimation]

    def by_kind(self) -> dict[str, StageFunction]:
        return {
            "keypoints": self.detect,
            "background": self.background,
            "inpainting_given_motion": self.inpainting,
            "reconstruction": self.reconstruct,
            "animate_standard": self.animate_standard,
            "animate_relative": self.animate_relative,
            "animate_avd": self.animate_avd,
            "relative_given_keypoints": relative,
            "avd_given_keypoints": self.disentangle,
        }

    def detect(self, fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
        detector = self.networks(fixture.path)["kp_detector"]
        return {f"kp_{name.removeprefix('image_')}": detector(image).value for name, image in inputs.items()}

    def background(self, fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
        predictor = self.networks(fixture.path)["bg_predictor"]
        return {"bg_param": predictor(inputs["image_source"], inputs["image_driving"])}

    def inpainting(self, fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
        network, source = self.networks(fixture.path)["inpainting_network"], inputs["image_source"]
        motion = inputs["deformation_given"], given_occlusions(inputs)
        stages = list(network.warped_stages(network.look(source), *motion))
        return {
            "gen_prediction": network(source, *motion),
            "gen_deformed": warp_aligned(source, inputs["deformation_given"]),
        } | stored_channels(fixture, "gen_warped_encoder_map", stages)

    def reconstruct(self, fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
        return reconstructed(self.method(fixture, False), inputs, "rec")

    def animate_standard(self, fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
        return self._animate(fixture, inputs, "standard", "absolute")

    def animate_relative(self, fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
        detector = self.networks(fixture.path)["kp_detector"]
        source, initial = (detector(inputs[f"image_{role}"]).value for role in ("source", "driving_initial"))
        scale = torch.tensor(movement_scale(source, initial))
        return {"anim_relative_scale": scale} | self._animate(fixture, inputs, "relative", "relative")

    def animate_avd(self, fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
        return self._animate(fixture, inputs, "avd", "absolute", avd=True)

    def disentangle(self, fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
        points = self.method(fixture, True).posed(given(inputs, "source"), given(inputs, "driving"))
        return {"avd_given_kp": points.value}

    def _animate(
        self, fixture: Fixture, inputs: Inputs, mode: str, transfer: str, *, avd: bool = False
    ) -> dict[str, Tensor]:
        """The method itself, as the bench calls it, on sample 0."""
        model, driving = self.method(fixture, avd), inputs["image_driving"][:1]
        encoding, initial = model.encode(inputs["image_source"][:1]), inputs.get("image_driving_initial")
        points = model.driving_keypoints(encoding, driving, initial_driving=initial, transfer=transfer)
        prediction = model.animate(encoding, driving, initial_driving=initial, transfer=transfer)
        return {f"anim_{mode}_kp": points.value, f"anim_{mode}_prediction": prediction}
