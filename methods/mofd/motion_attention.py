"""Motion attention fusion: warped features mixed, channel by channel, as the motion code asks."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MotionAttention(nn.Module):
    """Motion code and warped features -> features of the same shape, at one resolution.

    Args:
        code_width: of the motion code.
        channels: of the features, c.
        scaled: logits are divided by the number of positions, over which they are sums.

    Source: MOFD, Eq. 12 and figure 3. With maps written c x n (n positions), its products have the right shape where
    channels attend to channels. What it prints is added to the warped features, times a factor that starts at 0.
    """

    def __init__(self, code_width: int, channels: int, *, scaled: bool = True) -> None:
        super().__init__()
        self.reduce = nn.Linear(code_width, channels)
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))
        self.scaled = scaled

    def attention(self, code: Tensor, warped: Tensor) -> Tensor:
        """How much every channel takes of every other, `(B, c, c)`; rows sum to 1.

        Args:
            code: `(B, code_width)`.
            warped: `(B, c, H, W)`.
        """
        query = self.query(self.reduce(code)[:, :, None, None])
        # The query is the same at all positions and the key's layer is affine: the sum over positions of their
        # products is the product of the query and the mean key, times the number of positions.
        mean_key = self.key(warped.mean(dim=(2, 3), keepdim=True))
        logits = query.flatten(1).unsqueeze(2).float() * mean_key.flatten(1).unsqueeze(1).float()
        if not self.scaled:
            logits = logits * warped.shape[2:].numel()
        return torch.softmax(logits, dim=-1)

    def forward(self, code: Tensor, warped: Tensor) -> Tensor:
        taken = self.attention(code, warped) @ self.value(warped).flatten(2)
        return warped + self.gamma * taken.unflatten(2, warped.shape[2:])
