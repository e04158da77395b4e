"""Turning a face by angles: two published linear maps between driving vectors and head poses."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from benchbed.errors import CheckpointError
from benchbed.weights import fit_report, load_tensors

from ..blocks.checkpoints import shapes_of

ANGLES = 3
WRAPPER = "state_dict."


class PoseRegressor(nn.Module):
    """Driving vector `(B, inner_nc)` -> roll, pitch and yaw `(B, 3)` in radians."""

    def __init__(self, inner_nc: int) -> None:
        super().__init__()
        self.posefrombottle = nn.Linear(inner_nc, ANGLES)

    def forward(self, vectors: Tensor) -> Tensor:
        return self.posefrombottle(vectors)


class PoseMaps(nn.Module):
    """Pose of a driving vector, and driving vectors turned to another pose.

    Source: X2Face's released code for driving by pose (and, with the same maps, by audio).
    """

    def __init__(self, inner_nc: int) -> None:
        super().__init__()
        self.posereg = PoseRegressor(inner_nc)
        self.posetobottle = nn.Sequential(nn.Linear(ANGLES, inner_nc, bias=False), nn.BatchNorm1d(inner_nc))

    def pose(self, vectors: Tensor) -> Tensor:
        """Roll, pitch and yaw `(B, 3)` in radians of driving vectors `(B, inner_nc)` before their activation."""
        return self.posereg(vectors)

    def turned(self, vectors: Tensor, poses: Tensor) -> Tensor:
        """Driving vectors with their own pose exchanged for another.

        Args:
            vectors: `(B, inner_nc)`, before their activation.
            poses: `(N, 3)`, roll, pitch and yaw in radians; B is N or 1.

        Returns:
            `(N, inner_nc)`.
        """
        return vectors - self.posetobottle(self.pose(vectors)) + self.posetobottle(poses)


def load_pose_maps(regressor: Path, embedder: Path) -> PoseMaps:
    """The maps of two officially released files, in eval mode on the CPU.

    Args:
        regressor: `posereg.pth` or `posereg_forpython3.pth`.
        embedder: `posetobottle.pth` or `posetobottle_forpython3.pth`.

    Raises:
        CheckpointError: a file does not fit, or is not safe to load.
    """
    weights = {"posereg": _tensors(regressor), "posetobottle": _tensors(embedder)}
    given = weights["posereg"].get("posefrombottle.weight")
    maps = PoseMaps(given.shape[1] if given is not None and given.ndim == 2 else 128).eval()
    for (name, tensors), path in zip(weights.items(), (regressor, embedder), strict=True):
        network = maps.get_submodule(name)
        counters = {key: value for key, value in network.state_dict().items() if key.endswith("_tracked")}
        tensors = counters | tensors
        if complaint := fit_report(
            shapes_of(network.state_dict()), shapes_of(tensors), name=f"X2Face's {name}"
        ):
            raise CheckpointError(f"{Path(path).name}: {complaint}")
        network.load_state_dict(tensors)
    return maps


def _tensors(path: Path) -> dict[str, Tensor]:
    return {name.removeprefix(WRAPPER): value for name, value in load_tensors(path).tensors.items()}
