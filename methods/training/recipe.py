"""How a method is trained on pairs of frames: the published recipe as data, and what a preset adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchbed.interfaces.training import TrainingSchedule

BETAS = (0.5, 0.999)  # of Adam, throughout the FOMM family


@dataclass(frozen=True)
class WarpConfig:
    """The random warps of the equivariance losses."""

    sigma_affine: float
    sigma_tps: float = 0.0
    points_tps: int = 5


@dataclass(frozen=True)
class Additions:
    """What no paper has and small training needs; the defaults leave the published recipe as it is.

    Args:
        l1_weight: weight of a plain mean absolute error of the prediction.
        deformed_weight: weight of the mean absolute error of the source image warped by the dense motion; it teaches
            the motion before the generator can draw.
        copier: the generator starts as a copier of its source, see `copying.py`.
        relative_perceptual: see `terms.perceptual_loss`.
        warm_cosine: warm cosine learning rate in place of the milestones.
        freeze_norm_after: share of the steps after which the batch norms on the path of the colours use their running
            statistics; 1: never. A small batch's own mean is mostly the colour of its backgrounds: normalising by it
            hides from the generator the colours it has to copy.
        colour_rate: learning rate on that path as a share of its network's; small where its norms are frozen,
            because nothing takes out a common shift of the activations any more.
        augmented_share: of the perceptual weights, on the second prediction of methods that make one.
    """

    l1_weight: float = 0.0
    deformed_weight: float = 0.0
    copier: bool = False
    relative_perceptual: bool = False
    warm_cosine: bool = False
    freeze_norm_after: float = 1.0
    colour_rate: float = 1.0
    augmented_share: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """What is the same for every method that is trained on pairs of frames.

    Args:
        schedule: resolution, batch size, steps and augmentation.
        learning_rates: by the name of the network.
        milestones: steps after which every learning rate falls to a tenth.
        perceptual: loss weight of every tap of the perceptual network.
        scales: of the image pyramid that the perceptual loss looks at.
        betas: of Adam.
        own_betas: of networks whose Adam has others, by their names.
        momentum: of plain gradient descent in the place of Adam; None for Adam.
        weight_decay: of the optimiser.
        gradient_norms: the largest gradient norm of a network, by its name; longer gradients are shortened to it.
        gradient_order: of those norms; infinity for the largest entry.
        additions: what is not published.
    """

    schedule: TrainingSchedule
    learning_rates: Mapping[str, float]
    milestones: tuple[int, ...] = ()
    perceptual: tuple[float, ...] = ()
    scales: tuple[float, ...] = (1.0,)
    betas: tuple[float, float] = BETAS
    own_betas: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    momentum: float | None = None
    weight_decay: float = 0.0
    gradient_norms: Mapping[str, float] = field(default_factory=dict)
    gradient_order: float = 2.0
    additions: Additions = field(default_factory=Additions)
