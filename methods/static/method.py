"""The floor: the source image, once per driving frame."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from benchbed.errors import CheckpointError


class Static(nn.Module):
    """Shows the source for as long as the driving clip lasts; has no weights and takes any size."""

    def __init__(self) -> None:
        super().__init__()
        self.resolution: tuple[int, int] | None = None
        self.trained_on = "none"
        self.conventions: dict[str, str] = {}

    def encode(self, source: Tensor, references: Tensor | None = None) -> Tensor:
        """The source itself, `[1, 3, H, W]`."""
        return source

    def animate(
        self,
        encoding: Tensor,
        driving: Tensor,
        *,
        initial_driving: Tensor | None = None,
        transfer: str = "absolute",
    ) -> Tensor:
        """The source repeated, `[N, 3, H, W]`; both transfers are the same."""
        return encoding.to(driving).repeat(driving.shape[0], 1, 1, 1)


def build(*, checkpoint: Path | None, configuration: str | None) -> Static:
    """Build the reference row.

    Raises:
        CheckpointError: a checkpoint was given.
    """
    if checkpoint is not None:
        raise CheckpointError(f"static has no weights; run it without {checkpoint}")
    return Static().eval()
