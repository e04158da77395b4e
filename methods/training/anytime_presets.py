"""Training presets of anytime interpolation: what those of both versions share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchbed.interfaces.training import TrainingSchedule

from .disentangling import DisentanglingPreset, published_disentangling, tiny_disentangling
from .keypoint_set_pairs import Dropout, KeypointSetPreset
from .recipe import Additions, Recipe, WarpConfig

NETWORKS = ("kp_detector", "dense_motion_network", "inpainting_network", "bg_predictor")
# the largest entry of their gradients is held at 10; the last is not there for every data set
BOUNDED = ("kp_detector", "dense_motion_network", "bg_predictor")
EPOCHS, BATCH = 100, 4
# The ablation table: each row without what the next ones add.
VARIANTS: dict[str, dict[str, Any]] = {
    "model1": {"bidirectional": False, "similarity": False},
    "model2": {"similarity": False},
}


@dataclass(frozen=True)
class AnytimePreset(KeypointSetPreset):
    """A preset and the weights of what both directions must agree in."""

    feature_weight: float = 10.0
    appearance_weight: float = 10.0
    structure_weight: float = 10.0


@dataclass(frozen=True)
class _Data:
    """How a data set is trained on.

    Args:
        repeats: of everything an epoch visits.
        dropout: of candidate motions.
        clips: what an epoch visits where it does not draw identities.
        background_start: see `KeypointSetPreset`.
    """

    repeats: int
    dropout: Dropout
    clips: int | None = None
    background_start: int = 0


# The first two as TPSMM trains on them; it has none for the others, which borrow the dropout of Tai-Chi-HD.
_DATA = {
    "taichi-256": _Data(150, Dropout(35, largest=0.7)),
    "vox-256": _Data(75, Dropout(35, largest=0.3, first=0.1), background_start=10),
    "nemo-256": _Data(75, Dropout(35, largest=0.7), clips=1110),
    "fashion-256": _Data(50, Dropout(35, largest=0.7), clips=500),
}


def anytime_presets(
    full_size: Callable[[str], Mapping[str, Any]], identities: int
) -> dict[str, Callable[[], AnytimePreset | DisentanglingPreset]]:
    """Every preset by its name; `paper` is that of Tai-Chi-HD, the data set of the ablation, `-avd` the AVD network's.

    Args:
        full_size: a full-size configuration in the published words, by its name.
        identities: of the training split, each of which an epoch visits as often as it is repeated.
    """
    full = {name: partial(_paper, name, full_size, identities) for name in _DATA}
    variants = {f"tiny-{name}": partial(_tiny, f"tiny-{name}", words) for name, words in VARIANTS.items()}
    avd: dict[str, Callable[[], AnytimePreset | DisentanglingPreset]] = {
        "tiny-avd": lambda: tiny_disentangling(_tiny("tiny", {})),
        "paper-avd": lambda: _paper_disentangling(full["taichi-256"](), identities),
    }
    return {"tiny": partial(_tiny, "tiny", {}), **variants, "paper": full["taichi-256"], **full, **avd}


def _paper_disentangling(base: AnytimePreset, identities: int) -> DisentanglingPreset:
    """As TPSMM trains its own on Tai-Chi-HD; its scheduler falls an epoch later than the milestones say."""
    return published_disentangling(base, epochs=100, repeats=150, milestones=(71, 91), persons=identities)


def _paper(name: str, full_size: Callable[[str], Mapping[str, Any]], identities: int) -> AnytimePreset:
    """The published training; batch size, and what TPSMM alone states, are not stated in the paper."""
    data = _DATA[name]
    steps = EPOCHS * max(1, (data.clips or identities) * data.repeats // BATCH)
    published = full_size(name)
    bounded = BOUNDED if published["model_params"]["common_params"]["bg"] else BOUNDED[:-1]
    recipe = Recipe(
        TrainingSchedule(
            resolution=256,
            batch_size=BATCH,
            steps=steps,
            id_sampling=data.clips is None,
            jitter=(0.1, 0.1, 0.1, 0.1),
        ),
        dict.fromkeys(NETWORKS, 1e-4),
        milestones=tuple(steps * epoch // EPOCHS for epoch in (70, 90)),
        perceptual=(10, 10, 10, 10, 10),
        scales=(1, 0.5, 0.25, 0.125),
        weight_decay=1e-4,
        gradient_norms=dict.fromkeys(bounded, 10.0),
        gradient_order=math.inf,
    )
    return AnytimePreset(
        name,
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


def _tiny(name: str, supervision: Mapping[str, Any]) -> AnytimePreset:
    """For 64 x 64 pixels and minutes on a CPU, on from TPSMM's tiny networks (`--start`).

    The published losses, and what `Additions` calls not published. The networks are those of TPSMM's preset of that
    name, beside them a transformer of random weights; nothing is dropped, as all motions are in use by then.
    """
    published = {
        "model_params": {
            "common_params": {
                "num_tps": 8,
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
            },
            "transformer_params": {
                "image_size": 64,
                "patch_size": 8,
                "num_layers": 3,
                "num_heads": 4,
                "hidden_dim": 40,
                "mlp_dim": 80,
                "weights": "",
            },
        },
        "loss_params": dict(supervision),
    }
    recipe = Recipe(
        TrainingSchedule(resolution=64, batch_size=4, steps=500),
        {**dict.fromkeys(NETWORKS, 3e-4), "kp_detector": 5e-4},
        perceptual=(2, 2, 2, 2),
        scales=(1, 0.5, 0.25),
        weight_decay=1e-4,
        gradient_norms={"kp_detector": 10.0, "dense_motion_network": 10.0},
        gradient_order=math.inf,
        additions=Additions(
            l1_weight=100.0, deformed_weight=50.0, copier=True, relative_perceptual=True, warm_cosine=True
        ),
    )
    return AnytimePreset(
        name,
        published,
        recipe,
        epochs=EPOCHS,
        dropout=Dropout(epochs=0, largest=0.0),
        warps=WarpConfig(0.05, 0.005, 5),
        equivariance_weight=3,
        warp_weight=1,
        coarse_weight=50,
        feature_weight=1,
        appearance_weight=1,
        structure_weight=1,
    )
