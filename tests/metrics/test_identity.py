"""AED and CSIM by hand, missing faces included."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from benchbed.errors import BenchbedError
from benchbed.interfaces.evaluator import IdentityFeatures
from benchbed.interfaces.metric import Sample
from benchbed.metrics.identity import AverageEmbeddingDistance, CosineSimilarity


def embedded(vectors, found=None) -> Sample:
    values = torch.as_tensor(vectors, dtype=torch.float32)
    present = torch.ones(len(values), dtype=torch.bool) if found is None else torch.tensor(found)
    return Sample(torch.zeros(len(values), 3, 8, 8), {"identity": IdentityFeatures(values, present)})


def test_aed_forms_of_a_three_four_five_triangle():
    first, second = embedded([[3.0, 4.0]]), embedded([[0.0, 0.0]])
    assert AverageEmbeddingDistance().per_frame(first, second).tolist() == [25.0]
    assert AverageEmbeddingDistance("rooted").per_frame(first, second).tolist() == [5.0]
    assert AverageEmbeddingDistance("mean-square").per_frame(first, second).tolist() == [12.5]


def test_csim_of_equal_orthogonal_and_opposite_vectors():
    first = embedded([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [1.0, 1.0]])
    second = embedded([[5.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [1.0, 0.0]])
    expected = [1.0, 0.0, -1.0, math.sqrt(0.5)]
    np.testing.assert_allclose(CosineSimilarity().per_frame(first, second), expected, atol=1e-15)


def test_equal_embeddings_score_exactly_one_and_exactly_zero():
    vectors = torch.randn(50, 128, generator=torch.Generator().manual_seed(0))
    same = embedded(vectors)
    np.testing.assert_array_equal(CosineSimilarity().per_frame(same, same), 1.0)
    for form in ("squared", "rooted", "mean-square"):
        np.testing.assert_array_equal(AverageEmbeddingDistance(form).per_frame(same, same), 0.0)


def test_squared_aed_of_unit_vectors_is_two_minus_two_csim():
    generator = torch.Generator().manual_seed(1)
    first, second = (torch.nn.functional.normalize(torch.randn(8, 16, generator=generator)) for _ in range(2))
    distance = AverageEmbeddingDistance().per_frame(embedded(first), embedded(second))
    cosine = CosineSimilarity().per_frame(embedded(first), embedded(second))
    # float32 vectors have length 1 within 1e-7.
    np.testing.assert_allclose(distance, 2 - 2 * cosine, atol=1e-6)


@pytest.mark.parametrize("metric", [AverageEmbeddingDistance(), CosineSimilarity()])
def test_a_frame_with_nothing_to_embed_on_either_side_is_missing(metric):
    same = [[1.0, 0.0]] * 3
    scores = metric.per_frame(embedded(same, [True, False, True]), embedded(same, [True, True, False]))
    np.testing.assert_array_equal(np.isnan(scores), [False, True, True])


def test_a_zero_vector_has_no_direction():
    assert np.isnan(CosineSimilarity().per_frame(embedded([[0.0, 0.0]]), embedded([[1.0, 0.0]]))).all()


def test_a_bound_exists_only_where_embeddings_have_unit_length():
    assert AverageEmbeddingDistance().worst((64, 64)) is None
    first, second = embedded([[1.0, 0.0]]), embedded([[-1.0, 0.0]])
    for form in ("squared", "rooted"):
        metric = AverageEmbeddingDistance(form, unit_length=True)
        assert metric.per_frame(first, second)[0] == metric.worst((64, 64))


def test_an_unknown_form_is_refused():
    with pytest.raises(BenchbedError, match="squared, rooted, mean-square"):
        AverageEmbeddingDistance("cubed")
