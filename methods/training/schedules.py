"""Learning rates over the steps of a training."""

from __future__ import annotations

import math


class WarmCosine:
    """Learning-rate factor: linear over the first 2 % of the steps, then half a cosine to 2 %."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.warm = max(1, steps // 50)

    def __call__(self, step: int) -> float:
        if step < self.warm:
            return (step + 1) / self.warm
        progress = min(1.0, (step - self.warm) / max(1, self.steps - self.warm))
        return 0.02 + 0.49 * (1 + math.cos(math.pi * progress))
