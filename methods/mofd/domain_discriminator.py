"""The domain discriminator: whose motion code is this? For training only."""

from __future__ import annotations

from torch import Tensor, nn
from torch.func import functional_call


class DomainDiscriminator(nn.Sequential):
    """Codes `(B, width)` -> a logit per identity of the training split, `(B, identities)`.

    Source: MOFD, Eq. 9.
    """

    def __init__(self, width: int, identities: int) -> None:
        super().__init__(
            nn.Linear(width, width // 2),
            nn.ReLU(),
            nn.Linear(width // 2, width // 4),
            nn.ReLU(),
            nn.Linear(width // 4, identities),
        )

    def frozen(self, codes: Tensor) -> Tensor:
        """The same logits, through which the gradient reaches the codes and not the discriminator."""
        parameters = {name: parameter.detach() for name, parameter in self.named_parameters()}
        return functional_call(self, parameters, (codes,))
