"""The training presets: `tiny` and its ablations for small drawn figures on a CPU, `paper` and the full-size recipes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchbed.interfaces.training import TrainingSchedule

from ..training.disentangling import DisentanglingPreset, tiny_disentangling
from ..training.keypoint_set_pairs import Dropout, KeypointSetPreset
from ..training.keypoint_set_poses import vox_disentangling
from ..training.presets import VOX_TRAIN_PERSONS
from ..training.recipe import Additions, Recipe, WarpConfig
from .config import DECOUPLING, OPTIMISATION
from .official import official, official_names

OWN = ("motion_optimisation", "feature_decoupling", "motion_attention", "domain_discriminator")
NETWORKS = ("kp_detector", "dense_motion_network", "inpainting_network", "bg_predictor", *OWN)
# as TPSMM has it: the largest entry of their gradients is held at 10
BOUNDED = ("kp_detector", "dense_motion_network")
# rows of the paper's table 2, and the section each leaves out
ABLATIONS = {"without-decoupling": DECOUPLING, "without-motion-optimisation": OPTIMISATION}
EPOCHS = 100
BATCH = 12
FACES = (0.1, 0.1, 0.1, 0.1)


@dataclass(frozen=True)
class MofdPreset(KeypointSetPreset):
    """A preset and the weights of MOFD's own terms.

    Args:
        recognition_weight: of the identities that the discriminator tells from motion codes (L_adv).
        confusion_weight: of the same, for the codes; negative, to be maximised (L_d).
        motion_code_weight: of the generated image's motion code (L_r).
        motion_code_trains_encoder: that term also trains the encoder it looks through, as the paper's equation has it.
            Codes then grow alike, whoever moves how; otherwise it is a fixed measure for the generated image.
    """

    recognition_weight: float = 10.0
    confusion_weight: float = -1.0
    motion_code_weight: float = 10.0
    motion_code_trains_encoder: bool = True


@dataclass(frozen=True)
class _DataSet:
    """What TPSMM's training changes from one data set to the next.

    Args:
        groups: how many persons, or videos, a pass over the train split visits.
        repeats: passes in an epoch.
        persons: whether a pass visits persons.
    """

    groups: int
    repeats: int
    persons: bool
    dropout: Dropout
    jitter: tuple[float, float, float, float] = FACES
    background_start: int = 0


# The number of persons in TaiChiHD is that of its train videos as DiME counts them. TPSMM has no recipe for Fashion,
# whose backdrop is static and white: MGif's dropout and repeats. MGif's resizing and cropping is left out.
_DATA_SETS = {
    "vox-256": _DataSet(
        VOX_TRAIN_PERSONS, 75, True, Dropout(epochs=35, largest=0.3, first=0.1), background_start=10
    ),
    "taichi-256": _DataSet(682, 150, True, Dropout(epochs=35, largest=0.7)),
    "fashion-256": _DataSet(500, 50, False, Dropout(epochs=35, largest=0.5, first=0.2)),
    "mgif-256": _DataSet(
        900, 50, False, Dropout(epochs=35, largest=0.5, first=0.2), jitter=(0.0, 0.0, 0.0, 0.5)
    ),
}


def presets() -> dict[str, Callable[[], MofdPreset | DisentanglingPreset]]:
    """Every preset by its name; those of the AVD network end in `-avd`."""
    ablations = {
        f"tiny-{variant}": partial(_tiny, f"tiny-{variant}", section)
        for variant, section in ABLATIONS.items()
    }
    full = {name: partial(_paper, name) for name in official_names()}
    avd: dict[str, Callable[[], MofdPreset | DisentanglingPreset]] = {
        "tiny-avd": lambda: tiny_disentangling(_tiny("tiny", None)),
        "paper-avd": lambda: vox_disentangling(_paper("vox-256")),
    }
    return {"tiny": partial(_tiny, "tiny", None), **ablations, "paper": full["vox-256"], **full, **avd}


def _paper(configuration: str) -> MofdPreset:
    """The published training; what the paper does not say is as in TPSMM's, and so is the AVD network, trained after it."""
    data = _DATA_SETS[configuration]
    published = official(configuration)
    background = published["model_params"]["common_params"]["bg"]
    steps = EPOCHS * (data.groups * data.repeats // BATCH)
    recipe = Recipe(
        TrainingSchedule(
            resolution=256, batch_size=BATCH, steps=steps, id_sampling=data.persons, jitter=data.jitter
        ),
        dict.fromkeys(NETWORKS, 2e-4),
        milestones=tuple(steps * epoch // EPOCHS for epoch in (70, 90)),
        perceptual=(10, 10, 10, 10, 10),
        scales=(1, 0.5, 0.25, 0.125),
        weight_decay=1e-4,
        gradient_norms=dict.fromkeys((*BOUNDED, "bg_predictor") if background else BOUNDED, 10.0),
        gradient_order=math.inf,
    )
    return MofdPreset(
        configuration,
        published,
        recipe,
        epochs=EPOCHS,
        dropout=data.dropout,
        warps=WarpConfig(0.05, 0.005, 5),
        equivariance_weight=10,
        warp_weight=10,
        background_weight=10,
        background_start=data.background_start,
    )


def _tiny(name: str, without: str | None) -> MofdPreset:
    """For 64 x 64 pixels and minutes on a CPU: the published losses, and what `Additions` calls not published.

    The patches are those of the paper (1, 2, 4 and 8 pixels), on a grid of a quarter of its side. The backgrounds of
    drawn figures stand still, so none of their motion is predicted (as in `mgif-256`), and there is no AVD network.

    Args:
        without: the section of an ablation; None leaves out nothing.
    """
    model: dict[str, Any] = {
        "common_params": {
            "num_tps": 8,
            "num_channels": 3,
            "bg": False,
            "multi_mask": True,
            "resnet_width": 9,
        },
        "generator_params": {"block_expansion": 12, "max_features": 20, "num_down_blocks": 3},
        "dense_motion_params": {
            "block_expansion": 16,
            "max_features": 72,
            "num_blocks": 3,
            "scale_factor": 0.5,
        },
        OPTIMISATION: {"grid": 8, "windows": [4, 2], "embedding": 24, "heads": 2, "flow_channels": 4},
        DECOUPLING: {"width": 64, "identity_vectors": 20, "motion_vectors": 20, "resnet_width": 5},
    }
    recipe = Recipe(
        TrainingSchedule(resolution=64, batch_size=8, steps=1800),
        # The residual network sees whole images and learns more slowly than the others.
        {**dict.fromkeys(NETWORKS, 5e-4), "kp_detector": 1e-3},
        perceptual=(2, 2, 2, 2),
        scales=(1, 0.5, 0.25),
        weight_decay=1e-4,
        gradient_norms=dict.fromkeys(BOUNDED, 10.0),
        gradient_order=math.inf,
        additions=Additions(
            l1_weight=100.0, deformed_weight=50.0, copier=True, relative_perceptual=True, warm_cosine=True
        ),
    )
    return MofdPreset(
        name,
        {
            "resolution": 64,
            "model_params": {section: words for section, words in model.items() if section != without},
        },
        recipe,
        epochs=100,
        dropout=Dropout(epochs=35, largest=0.3, first=0.1),
        warps=WarpConfig(0.05, 0.005, 5),
        equivariance_weight=3,
        warp_weight=1,
        coarse_weight=50,
    )
