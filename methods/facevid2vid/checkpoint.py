"""Face-vid2vid's networks for inference, and the files that carry their weights."""

from __future__ import annotations

from torch import nn

from ..blocks.checkpoints import Published, Releases
from .canonical_keypoints import CanonicalKeypointDetector
from .config import Facevid2vidConfig, facevid2vid_config
from .generator import build_generator
from .head_pose import HeadPoseEstimator
from .official import DATASETS, official, official_names


def inference_networks(config: Facevid2vidConfig) -> nn.ModuleDict:
    """Generator, key-point detector and head-pose estimator under their checkpoint names, freshly initialised."""
    return nn.ModuleDict(
        {
            "generator": build_generator(config.generator),
            "kp_detector": CanonicalKeypointDetector(config.keypoint_detector),
            "he_estimator": HeadPoseEstimator(config.head_pose),
        }
    )


def _networks(published: Published, held: frozenset[str]) -> nn.ModuleDict:
    return inference_networks(facevid2vid_config(published))


RELEASES = Releases(
    title="face-vid2vid",
    configurations=official_names(),
    published=official,
    networks=_networks,
    files={},
    datasets=DATASETS,
)
