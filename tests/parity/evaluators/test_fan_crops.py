"""Placement and crops of faces against what the face-alignment package gives."""

from __future__ import annotations

import numpy as np

from benchbed.metrics.evaluators.face_crops import crop_faces, place_faces

from .boxes import boxes_of

FIXTURES = ("fan_network", "fan_decoding")
# A crop value may round either way: the tolerance of `crops` in the decoding fixtures.
CROP_TOLERANCE = 1


def test_centre_and_scale_of_a_box_equal_the_recorded_ones(recorded):
    placement = place_faces(boxes_of(recorded))
    facts = recorded.facts
    centres = facts["centers"] if "centers" in facts else [facts["center"]]
    scales = facts["scales"] if "scales" in facts else [facts["scale"]]
    # Float64 on both sides: only the order of the operations may differ.
    np.testing.assert_allclose(placement.centres, centres, rtol=0, atol=1e-9)
    np.testing.assert_allclose(placement.scales, scales, rtol=0, atol=1e-12)


def test_crops_equal_the_recorded_ones(recorded):
    placement = place_faces(boxes_of(recorded))
    image = recorded.arrays["image_u8"]
    crops = crop_faces([image] * len(placement.scales), placement).astype(int)
    if "crop_u8" in recorded.arrays:
        stored, ours = recorded.arrays["crop_u8"], crops[0]
    else:
        stored, ours = recorded.arrays["crops_u8_stride4"], crops[:, ::4, ::4]
    allowed = recorded.tolerance.get("crops", {}).get("atol", CROP_TOLERANCE)
    assert np.abs(ours - stored.astype(int)).max() <= allowed
