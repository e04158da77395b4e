"""Zero-shot reconstruction: a method trained on one data set, scored on another that it has not seen."""

from __future__ import annotations

from .reconstruction import Reconstruction


class ZeroShot(Reconstruction):
    """Reconstruction of a data set that none of the weights has seen; the engine refuses the others.

    Source: DiME, Table 2 (trained on VoxCeleb, tested on UvA-Nemo and MGif).
    """

    name = "zero-shot"
    version = 1
