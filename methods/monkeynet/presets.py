"""The training preset: `tiny` for small drawn figures on a CPU."""

from __future__ import annotations

from dataclasses import dataclass

from benchbed.interfaces.training import TrainingSchedule

from ..training.presets import Preset
from ..training.recipe import Additions, Recipe


@dataclass(frozen=True)
class MonkeyNetPreset(Preset):
    """Monkey-Net's words for its networks, and its own loss weights.

    Args:
        reconstruction: weight of the mean absolute error of the prediction, the first of the published
            `loss_weights.reconstruction`.
        reconstruction_deformed: of the source image warped by the dense motion.
    """

    reconstruction: float = 10.0
    reconstruction_deformed: float = 0.0


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


PRESETS = {"tiny": _tiny}
