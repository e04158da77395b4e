"""The training presets: `tiny` for small drawn figures on a CPU, `paper` for VoxCeleb."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from benchbed.interfaces.training import TrainingSchedule

from ..training.disentangling import DisentanglingPreset, tiny_disentangling
from ..training.keypoint_set_pairs import Dropout, KeypointSetPreset
from ..training.keypoint_set_poses import vox_disentangling
from ..training.presets import vox_steps
from ..training.recipe import Additions, Recipe, WarpConfig
from .official import official

NETWORKS = ("kp_detector", "dense_motion_network", "inpainting_network", "bg_predictor")
# published: the largest entry of their gradients is held at 10
BOUNDED = ("kp_detector", "dense_motion_network", "bg_predictor")


@dataclass(frozen=True)
class CpabmmPreset(KeypointSetPreset):
    """A preset and what is CPABMM's own in training.

    Args:
        structure_weight: of `structure.structure_loss`, which needs a vision transformer from the weights store.
        spline_gradient: key points learn from the warped source, see `training.GuidedCpabmm`; not published.
    """

    structure_weight: float = 0.0
    spline_gradient: bool = False


def presets() -> dict[str, Callable[[], CpabmmPreset | DisentanglingPreset]]:
    """Every preset by its name; those of the AVD network end in `-avd`."""
    return {
        "tiny": _tiny,
        "paper": _paper,
        "vox-256": _paper,
        "tiny-avd": lambda: tiny_disentangling(_tiny()),
        "paper-avd": lambda: vox_disentangling(_paper()),
    }


def _paper() -> CpabmmPreset:
    """The published training of everything but the AVD network, which is trained after it (`paper-avd`).

    The key-point loss of the paper, guided by a segmentation network, has no published code and is left out.
    """
    epochs = 100
    steps = vox_steps(epochs, 75, 8)
    recipe = Recipe(
        TrainingSchedule(
            resolution=256, batch_size=8, steps=steps, id_sampling=True, jitter=(0.1, 0.1, 0.1, 0.1)
        ),
        dict.fromkeys(NETWORKS, 1e-4),
        milestones=tuple(steps * epoch // epochs for epoch in (70, 90)),
        perceptual=(10, 10, 10, 10, 10),
        scales=(1, 0.5, 0.25, 0.125),
        weight_decay=1e-4,
        gradient_norms=dict.fromkeys(BOUNDED, 10.0),
        gradient_order=math.inf,
    )
    return CpabmmPreset(
        "vox-256",
        official("vox-256"),
        recipe,
        epochs=epochs,
        dropout=Dropout(epochs=35, largest=0.3, first=0.1),
        warps=WarpConfig(0.05, 0.005, 5),
        equivariance_weight=10,
        warp_weight=10,
        background_weight=10,
        background_start=10,
        structure_weight=0.1,
    )


def _tiny() -> CpabmmPreset:
    """The published losses but that of the structure, and what `Additions` calls not published.

    Few steps per fit, as every frame is fitted, in training and afterwards; they are four times as long as published
    ones, since eight of those reach a third of the way to the wanted points. The backgrounds of drawn figures stand
    still, so none of their motion is predicted (as in `mgif-256`), and there is no AVD network.
    """
    published = {
        "model_params": {
            "common_params": {
                "num_cpab": 5,
                "num_channels": 3,
                "bg": False,
                "multi_mask": True,
                "resnet_width": 12,
            },
            "generator_params": {"block_expansion": 12, "max_features": 24, "num_down_blocks": 3},
            "dense_motion_params": {
                "block_expansion": 16,
                "max_features": 96,
                "num_blocks": 3,
                "scale_factor": 0.5,
                "max_iter": 6,
                "fit_rate": 0.04,
            },
        },
    }
    recipe = Recipe(
        TrainingSchedule(resolution=64, batch_size=8, steps=3000),
        # The residual network sees whole images and learns more slowly than the others.
        {**dict.fromkeys(NETWORKS, 5e-4), "kp_detector": 1e-3},
        perceptual=(2, 2, 2, 2),
        scales=(1, 0.5, 0.25),
        weight_decay=1e-4,
        gradient_norms={"kp_detector": 10.0, "dense_motion_network": 10.0},
        gradient_order=math.inf,
        additions=Additions(
            l1_weight=100.0, deformed_weight=50.0, copier=True, relative_perceptual=True, warm_cosine=True
        ),
    )
    return CpabmmPreset(
        "tiny",
        published,
        recipe,
        epochs=100,
        dropout=Dropout(epochs=35, largest=0.3, first=0.1),
        warps=WarpConfig(0.05, 0.005, 5),
        equivariance_weight=3,
        warp_weight=1,
        coarse_weight=50,
        spline_gradient=True,
    )
