"""What an image-animation method must do: encode a source once, animate it with any number of frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor


@runtime_checkable
class Method(Protocol):
    """An `nn.Module` in eval mode with a card beside its code.

    Attributes:
        resolution: (height, width) the weights were trained at, None where any size is as good. The engine resizes
            frames of another size to it and the output back, and says so.
        trained_on: name of the dataset the weights were trained on, `none` for methods without weights, or
            `unknown`.
        conventions: settings that change the numbers (for example `align_corners=false`); part of the
            method's fingerprint and shown with its rows.
    """

    resolution: tuple[int, int] | None
    trained_on: str
    conventions: dict[str, str]

    def encode(self, source: Tensor, references: Tensor | None = None) -> Any:
        """All that depends on the source alone; called once per source.

        Args:
            source: `[1, 3, H, W]` RGB in [0, 1].
            references: `[N_ref, 3, H, W]` further views of the source object, None for one-shot methods.

        Returns:
            The method's own encoding, handed back to `animate` untouched.
        """
        ...

    def animate(
        self,
        encoding: Any,
        driving: Tensor,
        *,
        initial_driving: Tensor | None = None,
        transfer: str = "absolute",
    ) -> Tensor:
        """Animate the encoded source with the motion of the driving frames.

        Args:
            encoding: what `encode` returned.
            driving: `[N, 3, H, W]` RGB in [0, 1], any consecutive frames of the clip.
            initial_driving: `[1, 3, H, W]`, first frame of the driving clip; needed for relative transfer.
            transfer: `absolute` or `relative`.

        Returns:
            Generated frames `[N, 3, H, W]` in [0, 1]; frame i depends on driving frame i alone (and the initial one).
        """
        ...


class MethodBuilder(Protocol):
    """The callable a method card's `entry` names."""

    def __call__(self, *, checkpoint: Path | None, configuration: str | None) -> Method:
        """Build the method in eval mode on the CPU.

        Args:
            checkpoint: weights file (safetensors of ours or an officially released file), None for
                methods without weights.
            configuration: name of one of the card's configurations; None reads it from the checkpoint.

        Raises:
            CheckpointError: the file does not fit the network, or is not safe to load.
        """
        ...
