"""The ceiling: the ground-truth frames, which the engine hands over as driving frames."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from benchbed.errors import CheckpointError


class Oracle(nn.Module):
    """Returns what it is driven with; the card's `privileged` makes that the ground truth."""

    def __init__(self) -> None:
        super().__init__()
        self.resolution: tuple[int, int] | None = None
        self.trained_on = "none"
        self.conventions: dict[str, str] = {}

    def encode(self, source: Tensor, references: Tensor | None = None) -> None:
        """Nothing: the answer does not depend on the source."""

    def animate(
        self,
        encoding: None,
        driving: Tensor,
        *,
        initial_driving: Tensor | None = None,
        transfer: str = "absolute",
    ) -> Tensor:
        """The driving frames, `[N, 3, H, W]`, untouched."""
        return driving


def build(*, checkpoint: Path | None, configuration: str | None) -> Oracle:
    """Build the reference row.

    Raises:
        CheckpointError: a checkpoint was given.
    """
    if checkpoint is not None:
        raise CheckpointError(f"oracle has no weights; run it without {checkpoint}")
    return Oracle().eval()
