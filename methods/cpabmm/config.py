"""What decides a CPABMM network, its fits and its test-time transfer, read from the words of the published files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..blocks.configurations import reading
from ..blocks.keypoint_set_config import KeypointSetConfig, keypoint_set_config
from .fit import LEARNING_RATE

# The published vox-256 file still calls the number of sets by TPSMM's word.
COUNT_WORDS = ("num_cpab", "num_tps")


@dataclass(frozen=True)
class CpabmmConfig:
    """All parts a configuration describes.

    Args:
        model: the networks and the test-time choices.
        partial_iterations: steps of the fit of one transformation per set.
        global_iterations: steps of the fit of one transformation to all key points.
        fit_rate: how far a step of a fit may change a parameter; ours, for fits of few steps.
    """

    model: KeypointSetConfig
    partial_iterations: int
    global_iterations: int
    fit_rate: float = LEARNING_RATE

    def __post_init__(self) -> None:
        if self.partial_iterations < 1:
            raise ValueError(f"max_iter is {self.partial_iterations}, and a fit takes at least one step")


def cpabmm_config(published: Mapping[str, Any]) -> CpabmmConfig:
    """Read a configuration in the published words; see `keypoint_set_config`, with `max_iter` (and, ours, `fit_rate`) for the fits.

    Raises:
        BenchbedError: a needed word is missing, unknown or its value is of the wrong kind.
    """
    return reading("CPABMM", _read, published)


def _read(published: Mapping[str, Any]) -> CpabmmConfig:
    model = published["model_params"]
    dense = dict(model["dense_motion_params"])
    iterations = int(dense.pop("max_iter"))
    rate = float(dense.pop("fit_rate", LEARNING_RATE))
    without = {**published, "model_params": {**model, "dense_motion_params": dense}}
    return CpabmmConfig(keypoint_set_config(without, COUNT_WORDS), iterations, int(1.5 * iterations), rate)
