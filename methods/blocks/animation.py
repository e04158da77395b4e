"""Test-time choices: the pose through the AVD network, and when the background's motion is predicted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchbed.errors import CheckpointError

from .configurations import require_background_use
from .transfer import TRANSFERS


@dataclass(frozen=True)
class AnimationConfig:
    """Test-time choices of methods that may have an AVD network and a background predictor.

    Args:
        avd: absolute transfer takes the pose through the AVD network.
        background: when the background's motion is predicted: for `absolute` transfer of the driving pose itself,
            `always` or `never`.
    """

    avd: bool = False
    background: str = "absolute"

    def __post_init__(self) -> None:
        require_background_use(self.background)

    def predicts_background(self, transfer: str) -> bool:
        """Whether a transfer predicts the background's motion, where there is a predictor."""
        if self.background == "never":
            return False
        return self.background == "always" or (transfer == "absolute" and not self.avd)

    def require_networks(self, configuration: str, *, avd: bool, background: bool) -> None:
        """Refuse weights without a network that these choices need.

        Args:
            configuration: what the configuration is called.
            avd, background: whether the weights hold an AVD network and a background predictor.

        Raises:
            CheckpointError: they do not.
        """
        if self.avd and not avd:
            raise CheckpointError(
                f"configuration '{configuration}' animates with the AVD network, which the weights lack; "
                "leave out +avd or give a file saved after AVD training"
            )
        require_background(configuration, self.background, background)


def require_background(configuration: str, use: str, held: bool) -> None:
    """Refuse weights without a background predictor for a configuration that always predicts.

    Args:
        use: one of `BACKGROUND_USE`.
        held: whether there is a predictor.

    Raises:
        CheckpointError: there is none.
    """
    if use == "always" and not held:
        raise CheckpointError(
            f"configuration '{configuration}' wants the background's motion predicted, but the weights have "
            "no background predictor; leave out +background"
        )


def background_conventions(predicts: Callable[[str], bool]) -> dict[str, str]:
    """What each transfer does about the background, as a method's conventions say it."""
    return {
        f"{transfer}_background": "predicted" if predicts(transfer) else "still" for transfer in TRANSFERS
    }
