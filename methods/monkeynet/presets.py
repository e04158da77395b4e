"""The training presets: `tiny` for small drawn figures on a CPU, `paper` for VoxCeleb."""

from __future__ import annotations

from dataclasses import dataclass

from benchbed.interfaces.training import TrainingSchedule

from ..training.presets import VOX_TRAIN_CLIPS, Preset
from ..training.recipe import Additions, Recipe
from .official import official


@dataclass(frozen=True)
class MonkeyNetPreset(Preset):
    """Monkey-Net's words for its networks, and its own loss weights.

    Args:
        reconstruction: weight of the mean absolute error of the prediction, the first of the published
            `loss_weights.reconstruction`.
        reconstruction_deformed: of the source image warped by the dense motion.
        features: of the blocks of the discriminator, finest first, the rest of `loss_weights.reconstruction`.
        generator_gan, discriminator_gan: of the least-squares terms; without the former there is no discriminator.
    """

    reconstruction: float = 10.0
    reconstruction_deformed: float = 0.0
    features: tuple[float, ...] = ()
    generator_gan: float = 0.0
    discriminator_gan: float = 1.0


def _paper() -> MonkeyNetPreset:
    """The published training on VoxCeleb, adversarial and without any perceptual loss.

    Sampling aligns corners, as it did in the torch that the published code asks for. How many clips an epoch has is not
    published: as many as FOMM's cut of the data set, which the same authors made later.
    """
    epochs, batch_size = 20, 20
    recipe = Recipe(
        TrainingSchedule(
            resolution=256, batch_size=batch_size, steps=epochs * (VOX_TRAIN_CLIPS // batch_size)
        ),
        dict.fromkeys(("generator", "kp_detector", "discriminator"), 2e-4),
    )
    return MonkeyNetPreset(
        "vox", official("vox+aligned"), recipe, features=(10.0, 10.0, 10.0, 1.0), generator_gan=1.0
    )


def _tiny() -> MonkeyNetPreset:
    """For 64 x 64 pixels and minutes on a CPU.

    The networks, the pixel term of the published reconstruction loss and the published term on the warped source image
    are there, of other weights. A perceptual loss, which is not published, takes the place of the reconstruction of
    the discriminator's activations: minutes are too few for a discriminator to have any that are worth comparing, and
    training is not adversarial. All of `Additions` is not published.
    """
    widths = {"block_expansion": 16, "max_features": 64}
    heatmaps = {"use_heatmap": True, "heatmap_type": "difference", "norm_const": 100}
    return MonkeyNetPreset(
        "tiny",
        {
            # At 64 pixels the half-pixel zoom of unaligned sampling would blur what is copied; Monkey-Net was published
            # when sampling aligned corners.
            "align_corners": True,
            "model_params": {
                "common_params": {"num_kp": 10, "kp_variance": "matrix", "num_channels": 3},
                "kp_detector_params": {
                    "temperature": 0.1,
                    **widths,
                    "num_blocks": 4,
                    "scale_factor": 0.5,
                    "clip_variance": 0.001,
                },
                "generator_params": {
                    **widths,
                    "num_blocks": 4,
                    "num_refinement_blocks": 2,
                    "interpolation_mode": "trilinear",
                    "dense_motion_params": {
                        **widths,
                        "num_blocks": 4,
                        "use_mask": True,
                        "use_correction": True,
                        "scale_factor": 0.5,
                        "num_group_blocks": 2,
                        "mask_embedding_params": {**heatmaps, "use_deformed_source_image": True},
                    },
                    "kp_embedding_params": {**heatmaps, "scale_factor": 0.5},
                },
            },
        },
        Recipe(
            TrainingSchedule(resolution=64, batch_size=8, steps=3200),
            {"generator": 8e-4, "kp_detector": 5e-4},
            perceptual=(2.0, 2.0, 2.0, 2.0),
            scales=(1.0, 0.5, 0.25),
            additions=Additions(
                copier=True,
                relative_perceptual=True,
                warm_cosine=True,
                freeze_norm_after=0.02,
                colour_rate=0.3,
            ),
        ),
        reconstruction=100.0,
        reconstruction_deformed=50.0,
    )


PRESETS = {"tiny": _tiny, "paper": _paper, "vox": _paper}
