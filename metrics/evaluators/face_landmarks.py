"""68 face landmarks: the first detected face of each frame, cropped and given to FAN-4 in batches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchbed.errors import BenchbedError
from benchbed.frames import to_uint8
from benchbed.interfaces.evaluator import KeypointFeatures
from benchbed.weights import find_weights, load_tensors, sha256_of

from .face_crops import CROP_SIZE, crop_faces, decode_heatmaps, place_faces, points_in_frame
from .fan import LANDMARKS, FaceAlignmentNetwork, load_fan
from .s3fd import S3fdDetector, load_s3fd, memory_format

# Raised whenever the same weights and frames would give other features.
PREPROCESSING = 1
# Faces per pass of the landmark network, chosen by measurement (tests/bench/test_landmark_speed.py): on one core
# one and two are equal within noise, larger batches slower. For a GPU it is a guess by memory, not measured.
BATCH = {"cpu": 2, "cuda": 64}
DETECTORS = ("s3fd", "mtcnn")
# Side of the golden frames for the detector: every stride has a position or more.
PROBE_SIDE = 128

Detector = Callable[[Tensor], list[np.ndarray]]


class FaceLandmarkEvaluator(nn.Module):
    """Frames to whole-pixel landmarks of the face with the highest score.

    Args:
        fan: the landmark network.
        detector: uint8 frames `[N, 3, H, W]` to boxes float32 `[K, 5]` per frame, by decreasing score.
        fingerprint: see `benchbed.interfaces.evaluator.Evaluator`.

    Source: the field's evaluation protocol on face-alignment 1.5.0 (two-dimensional landmarks, no mirrored pass).
    """

    def __init__(self, fan: FaceAlignmentNetwork, detector: Detector, fingerprint: str) -> None:
        super().__init__()
        self.fan = fan.to(memory_format=memory_format(next(fan.parameters()).device))
        self.detector = detector
        self.fingerprint = fingerprint
        self.eval()

    @torch.no_grad()
    def forward(self, frames: Tensor) -> KeypointFeatures:
        """Landmarks `[N, 68, 2]` of frames `[N, 3, H, W]`, RGB in [0, 1]; none is found in a frame without a face."""
        levels = to_uint8(frames)
        boxes = [found[:1] for found in self.detector(levels)]
        owners = [index for index, found in enumerate(boxes) if len(found)]
        positions = torch.zeros(len(frames), LANDMARKS, 2, device=frames.device)
        found = torch.zeros(len(frames), LANDMARKS, dtype=torch.bool, device=frames.device)
        if owners:
            first = np.concatenate(boxes)
            images = levels[owners].permute(0, 2, 3, 1).cpu().numpy()
            positions[owners] = torch.from_numpy(self._landmarks(images, first)).to(frames.device)
            found[owners] = True
        return KeypointFeatures(positions, found)

    def _landmarks(self, images: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        placement = place_faces(boxes)
        crops = torch.from_numpy(crop_faces(list(images), placement)).permute(0, 3, 1, 2)
        device = next(self.fan.parameters()).device
        parts = [
            decode_heatmaps(self._heatmaps(part.to(device).float() / 255))[0]
            for part in crops.split(BATCH.get(device.type, 1))
        ]
        return points_in_frame(torch.cat(parts).cpu().numpy(), placement)

    def _heatmaps(self, crops: Tensor) -> Tensor:
        return self.fan(crops.contiguous(memory_format=memory_format(crops.device)))[-1]

    @torch.no_grad()
    def probe(self, frames: Tensor) -> Tensor:
        """Heat maps of the first golden frame, then what S3FD says of it; see `Evaluator.probe`."""
        return self.probe_outputs(frames)

    def probe_outputs(self, frames: Tensor) -> Tensor:
        """`probe` without the switch that keeps gradients off."""
        first = frames[:1]
        crop = functional.interpolate(first, size=CROP_SIZE, mode="bilinear", align_corners=False)
        parts = [self._heatmaps(crop)[..., ::8, ::8].flatten()]
        if isinstance(self.detector, S3fdDetector):
            image = functional.interpolate(first, size=PROBE_SIDE, mode="bilinear", align_corners=False)
            for output in self.detector.raw(255 * image):
                step = max(1, output.confidence.shape[-1] // 8)
                parts += [
                    part[..., ::step, ::step].flatten() for part in (output.confidence, output.location)
                ]
        return torch.cat(parts)


def build(*, device: torch.device, detector: str = "s3fd") -> FaceLandmarkEvaluator:
    """The landmark evaluator with weights from the store.

    Args:
        device: where the networks are to run.
        detector: `s3fd` (the published one), or `mtcnn`, whose weights come with facenet-pytorch.

    Raises:
        WeightsMissingError: a file is not on this machine.
        CheckpointError: a file does not fit its network.
        BenchbedError: another detector.
    """
    if detector not in DETECTORS:
        raise BenchbedError(f"unknown face detector '{detector}'; known: {', '.join(DETECTORS)}")
    path = find_weights("face-landmarks")
    if detector == "s3fd":
        boxes_path = find_weights("face-detector")
        detect: Detector = S3fdDetector(load_s3fd(load_tensors(boxes_path).tensors).to(device))
        name, origin = "face-landmarks", sha256_of(boxes_path)
    else:
        from . import mtcnn

        detect = mtcnn.load_mtcnn(device)
        name = "face-landmarks-mtcnn"
        origin = "".join(mtcnn.NETWORKS_SHA256.values()) + str(mtcnn.PREPROCESSING)
    fan = load_fan(load_tensors(path).tensors).to(device)
    digest = hashlib.sha256(f"{sha256_of(path)}{origin}".encode()).hexdigest()
    return FaceLandmarkEvaluator(fan, detect, f"{name}:{digest}:{PREPROCESSING}")
