"""The face boxes of a landmark fixture."""

from __future__ import annotations

import numpy as np

from .recorded import Recorded


def boxes_of(recorded: Recorded) -> np.ndarray:
    """`[K, 4 or 5]`, one or several, as the fixture has them."""
    facts = recorded.facts
    return np.asarray(facts["boxes"] if "boxes" in facts else [facts["box"]], np.float64)
