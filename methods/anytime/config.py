"""What decides an Anytime network and its training, read from TPSMM's published words and our own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..blocks.anytime_config import AnytimeConfig
from ..blocks.anytime_config import anytime_config as read


def anytime_config(published: Mapping[str, Any]) -> AnytimeConfig:
    """Read a configuration; see `blocks.anytime_config`.

    Raises:
        BenchbedError: a needed word is missing, unknown or its value is of the wrong kind.
    """
    return read("Anytime", published)
