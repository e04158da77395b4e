"""DAM as a method of the bench: first-order motion whose anchors were trained to follow one root anchor."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from benchbed.errors import WeightsMissingError

from ..blocks.anchor_animation import AnchorAnimation
from ..blocks.anchor_config import AnchorConfig
from ..blocks.checkpoints import read_checkpoint
from .checkpoint import RELEASES, inference_networks
from .config import dam_config
from .official import OFFICIAL_FILES


class Dam(AnchorAnimation):
    """Deformable Anchor Model (Tao et al., CVPR 2022).

    Args:
        config: describes the networks and the test-time choices.
        networks: under their checkpoint names; freshly initialised ones where None.
        configuration: what the configuration is called.
        trained_on: name of the dataset the weights were trained on.
    """

    def __init__(
        self,
        config: AnchorConfig,
        networks: nn.ModuleDict | None = None,
        *,
        configuration: str = "own",
        trained_on: str = "unknown",
    ) -> None:
        super().__init__(
            "dam",
            config,
            inference_networks(config) if networks is None else networks,
            configuration=configuration,
            trained_on=trained_on,
        )


def build(*, checkpoint: Path | None, configuration: str | None) -> Dam:
    """DAM with the weights of a file, in eval mode on the CPU.

    Args:
        checkpoint: safetensors of ours or an officially released file.
        configuration: an official one, optionally with the options of `official`; None reads it from the file.

    Raises:
        WeightsMissingError: no file is given.
        CheckpointError: the file does not fit, or is not safe to load.
        UnknownNameError: no such configuration.
    """
    if checkpoint is None:
        raise WeightsMissingError(
            "dam needs a weights file and none was given; give an officially released one with "
            f"--checkpoint dam=FILE ({', '.join(OFFICIAL_FILES)})"
        )
    read = read_checkpoint(Path(checkpoint), configuration, RELEASES)
    method = Dam(
        dam_config(read.published),
        read.networks,
        configuration=read.configuration,
        trained_on=read.trained_on,
    )
    return method.eval()
