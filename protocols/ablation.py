"""Ablation: a method's named variants beside the full method, in reconstruction."""

from __future__ import annotations

from .reconstruction import Reconstruction


class Ablation(Reconstruction):
    """Reconstruction by each method and by the variants its card names.

    Source: the ablation tables of the papers, all on reconstruction (LIA 4 and 5, anytime 2, MOFD 2, DiME 3).
    """

    name = "ablation"
    version = 1
