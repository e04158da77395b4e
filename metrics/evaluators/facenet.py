"""Face identity by FaceNet: the largest face MTCNN finds, cropped, as a vector of unit length."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchbed.frames import to_uint8
from benchbed.interfaces.evaluator import IdentityFeatures
from benchbed.weights import find_weights, load_tensors, sha256_of

from . import mtcnn
from .facenet_network import CROP_SIZE, FrozenInceptionResnet, load_network

# Raised whenever the same weights and frames would give other vectors.
PREPROCESSING = 1
WIDTH = 512
# Crops per pass, measured on the CPU: 4 take 3 to 19 % longer a crop, 1 takes 45 %, 16 gain 4 % at most.
BATCH = {"cpu": 8, "cuda": 64}

Detector = Callable[[Tensor], list[np.ndarray]]


class FacenetEvaluator(nn.Module):
    """Frames to embeddings of their largest face, as facenet-pytorch's `MTCNN()` and `InceptionResnetV1` give them.

    Args:
        network: crops `[N, 3, 160, 160]` to `[N, 512]`, before they are brought to unit length.
        detect: the face detector (see `mtcnn.load_mtcnn`).
        fingerprint: see `benchbed.interfaces.evaluator.Evaluator`.
    """

    def __init__(self, network: nn.Module, detect: Detector, fingerprint: str) -> None:
        super().__init__()
        self.network = network
        self.fingerprint = fingerprint
        self._detect = detect
        self.eval()

    @torch.no_grad()
    def forward(self, frames: Tensor) -> IdentityFeatures:
        """Unit vectors `[N, 512]` of frames `[N, 3, H, W]`, RGB in [0, 1]; zeros where no face was found."""
        levels = to_uint8(frames)
        crops, found = face_crops(levels, self._detect(levels))
        vectors = frames.new_zeros(len(frames), WIDTH, dtype=torch.float32)
        if found.any():
            vectors[found.to(frames.device)] = self.embed(crops.to(frames.device))
        return IdentityFeatures(vectors, found.to(frames.device))

    @torch.no_grad()
    def embed(self, crops: Tensor) -> Tensor:
        """Unit vectors `[N, 512]` of crops `[N, 3, 160, 160]` with values 0..255."""
        size = BATCH.get(crops.device.type, BATCH["cuda"])
        return torch.cat(
            [functional.normalize(self.network(standardised(chunk)), dim=1) for chunk in crops.split(size)]
        )

    @torch.no_grad()
    def probe(self, frames: Tensor) -> Tensor:
        """The embeddings `[2 * 512]` of the whole golden frames, before they are brought to unit length."""
        resized = functional.interpolate(frames, size=CROP_SIZE, mode="bilinear", align_corners=False)
        return self.network(standardised(resized * 255)).flatten()


def build(*, device: torch.device, weights: str) -> FacenetEvaluator:
    """FaceNet embeddings behind MTCNN.

    Args:
        device: where the networks are to run.
        weights: catalogue name, `face-identity` (VGGFace2) or `face-identity-casia` (CASIA-WebFace).

    Raises:
        WeightsMissingError: the file is not on this machine.
        CheckpointError: the file does not fit the network, or the detector inside facenet-pytorch is another.
    """
    path = find_weights(weights)
    network = FrozenInceptionResnet(load_network(load_tensors(path).tensors)).to(device)
    parts = (sha256_of(path), *mtcnn.NETWORKS_SHA256.values(), str(mtcnn.PREPROCESSING))
    digest = hashlib.sha256("".join(parts).encode()).hexdigest()
    name = weights.replace("face-identity", "face-identity-facenet")
    return FacenetEvaluator(network, mtcnn.load_mtcnn(device), f"{name}:{digest}:{PREPROCESSING}")


def standardised(crops: Tensor) -> Tensor:
    """Values 0..255 as the network wants them, about [-1, 1] (facenet-pytorch's `fixed_image_standardization`)."""
    return (crops - 127.5) / 128.0


def face_crops(levels: Tensor, faces: list[np.ndarray]) -> tuple[Tensor, Tensor]:
    """The largest face of each frame that has one, and which frames have.

    The library's crop of a NumPy image: whole pixels inside the frame, no margin, OpenCV's area averaging.

    Args:
        levels: frames as uint8 `[N, 3, H, W]`.
        faces: per frame `[K, 5]`, from the detector.

    Returns:
        float32 `[M, 3, 160, 160]` with whole values 0..255, and bool `[N]` with M times True, on the CPU.
    """
    images = levels.permute(0, 2, 3, 1).cpu().numpy()
    crops = [_largest_face(image, boxes) for image, boxes in zip(images, faces, strict=True)]
    found = torch.tensor([crop is not None for crop in crops], dtype=torch.bool)
    kept = [crop for crop in crops if crop is not None]
    stacked = np.stack(kept) if kept else np.zeros((0, CROP_SIZE, CROP_SIZE, 3), np.uint8)
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).float(), found


def _largest_face(image: np.ndarray, boxes: np.ndarray) -> np.ndarray | None:
    """The crop uint8 `[160, 160, 3]`; None without a box, or where the box lies beside the frame."""
    if not len(boxes):
        return None
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    box = boxes[int(np.argmax(areas))]
    left, top = (int(max(value, 0)) for value in box[:2])
    right, bottom = int(min(box[2], image.shape[1])), int(min(box[3], image.shape[0]))
    if right <= left or bottom <= top:
        return None
    return cv2.resize(image[top:bottom, left:right], (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_AREA)
