"""What decides a TPSMM network and its test-time transfer, read from the words of the published files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..blocks.configurations import reading
from ..blocks.keypoint_set_config import KeypointSetConfig, keypoint_set_config


def tpsmm_config(published: Mapping[str, Any]) -> KeypointSetConfig:
    """Read a configuration in the published words; see `keypoint_set_config`.

    Raises:
        BenchbedError: a needed word is missing, unknown or its value is of the wrong kind.
    """
    return reading("TPSMM", lambda words: keypoint_set_config(words, ("num_tps",)), published)
