"""The training presets: `tiny` for small drawn figures on a CPU, `paper` for VoxCeleb."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from benchbed.interfaces.training import TrainingSchedule

from ..training import presets
from ..training.recipe import Additions, Recipe, WarpConfig
from .official import official

NETWORKS = ("generator", "kp_detector", "he_estimator", "discriminator")


@dataclass(frozen=True)
class AdversaryWeights:
    """Of the terms of adversarial training: both hinges, and the features of every block of the discriminator."""

    generator_gan: float
    discriminator_gan: float
    feature_matching: tuple[float, ...]


@dataclass(frozen=True)
class Preset(presets.Preset):
    """A configuration, its recipe and the weights of face-vid2vid's own losses.

    Args:
        warps: of the equivariance loss.
        equivariance_weight, keypoint_prior_weight, expression_weight: of the losses of those names.
        head_pose_weight: of the angles that a pretrained network of faces sees, from the weights store.
        adversary: None for none.
        depth_weight, blurred_weight: of `losses.depth_loss` and `losses.blurred_difference`; not published.
        rate_shares: learning rates of parts, as shares of their network's, by where the names of their parameters
            begin; a later entry replaces an earlier one where both fit. Not published.
    """

    warps: WarpConfig
    equivariance_weight: float
    keypoint_prior_weight: float
    expression_weight: float
    head_pose_weight: float = 0.0
    adversary: AdversaryWeights | None = None
    depth_weight: float = 0.0
    blurred_weight: float = 0.0
    rate_shares: Mapping[str, float] = field(default_factory=dict)


def preset_named(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UnknownNameError: there is none.
    """
    plain = partial(_paper, "vox-256-original")
    full: dict[str, Callable[[], Preset]] = {
        "paper": plain,
        "vox-256-original": plain,
        "vox-256": partial(_paper, "vox-256"),
    }
    return presets.preset_named("facevid2vid", name, {"tiny": _tiny, **full})


def _paper(configuration: str) -> Preset:
    """The published training on VoxCeleb, in the numbers of the unofficial implementation: the authors gave no code.

    The paper's generator is the plain one; with its SPADE generator the implementation trains alike.
    """
    epochs = 300
    steps = presets.vox_steps(epochs, 75, 32)
    recipe = Recipe(
        TrainingSchedule(
            resolution=256, batch_size=32, steps=steps, id_sampling=True, jitter=(0.1, 0.1, 0.1, 0.1)
        ),
        dict.fromkeys(NETWORKS, 2e-4),
        milestones=(steps * 180 // epochs,),
        perceptual=(10, 10, 10, 10, 10),
        scales=(1, 0.5, 0.25, 0.125),
    )
    return Preset(
        configuration,
        official(configuration),
        recipe,
        warps=WarpConfig(sigma_affine=0.05, sigma_tps=0.005, points_tps=5),
        equivariance_weight=10,
        keypoint_prior_weight=10,
        expression_weight=5,
        head_pose_weight=20,
        adversary=AdversaryWeights(generator_gan=1, discriminator_gan=1, feature_matching=(10, 10, 10, 10)),
    )


def _tiny() -> Preset:
    """The published losses but two, and what `Additions` calls not published.

    The head-pose loss needs the poses that a pretrained network of faces sees, and drawn figures have none: what
    turns and moves them is learned from the other losses alone. The adversarial loss is left out as well. Figures move
    by their limbs, which is all expression here: its loss has a small weight.
    """
    hourglass = {"max_features": 64, "num_blocks": 3}
    published = {
        "resolution": 64,
        "generator": "original",
        # At 64 pixels the half-voxel zoom of unaligned sampling would blur what the generator has to copy.
        "align_corners": True,
        "model_params": {
            "common_params": {
                "num_kp": 10,
                "image_channel": 3,
                "feature_channel": 8,
                "estimate_jacobian": False,
            },
            "kp_detector_params": {
                **hourglass,
                "block_expansion": 8,
                "temperature": 0.1,
                "scale_factor": 0.5,
                "reshape_channel": 256,
                "reshape_depth": 4,
            },
            "he_estimator_params": {
                "block_expansion": 24,
                "num_bins": 66,
                "widths": [48, 96, 144, 192],
                "blocks": [1, 1, 1, 1],
            },
            "generator_params": {
                "block_expansion": 24,
                "max_features": 24,
                "num_down_blocks": 0,
                "reshape_channel": 8,
                "reshape_depth": 4,
                "num_resblocks": 1,
                "estimate_occlusion_map": True,
                "dense_motion_params": {
                    **hourglass,
                    "block_expansion": 8,
                    "reshape_depth": 4,
                    "compress": 1,
                    "scale_factor": 0.5,
                },
            },
        },
    }
    recipe = Recipe(
        TrainingSchedule(resolution=64, batch_size=8, steps=1800),
        {"generator": 1e-3, "kp_detector": 1e-4, "he_estimator": 1e-3},
        perceptual=(2, 2, 2, 2),
        scales=(1, 0.5, 0.25),
        additions=Additions(
            l1_weight=100.0,
            deformed_weight=100.0,
            copier=True,
            relative_perceptual=True,
            warm_cosine=True,
            freeze_norm_after=0.02,
            colour_rate=0.15,
        ),
    )
    return Preset(
        "tiny",
        published,
        recipe,
        warps=WarpConfig(sigma_affine=0.05, sigma_tps=0.005, points_tps=5),
        equivariance_weight=2.0,
        keypoint_prior_weight=0.3,
        expression_weight=0.001,
        depth_weight=2.0,
        blurred_weight=60.0,
        # A step of Adam moves the sum over many inputs of one sign a long way. The masks, sums over ten thousand, would
        # be all background before the points have learned to move, and the points would swing in step.
        rate_shares={
            "generator.dense_motion_network": 0.3,
            "generator.dense_motion_network.mask": 0.05,
            "he_estimator.fc": 0.1,
        },
    )
