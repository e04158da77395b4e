"""Coverage of the intervals, closer and on more kinds of scores than the tests: a table, nothing passes or fails."""

from __future__ import annotations

import numpy as np
import pytest

from benchbed.statistics import intervals, weighted_mean_interval

from ..nested_scores import crossed, nested

TRIALS = 4000


@pytest.mark.parametrize("skewed", [False, True], ids=["normal", "skewed"])
@pytest.mark.parametrize("identities", [5, 8, 12, 24, 60, 200])
def test_coverage(identities, skewed, monkeypatch, capsys):
    monkeypatch.setattr(intervals, "RESAMPLES", 1999)
    intervals._resamples.cache_clear()
    generator = np.random.default_rng([identities, skewed, 1])
    rows = {
        "one identity per case": lambda: nested(generator, identities, skewed=skewed),
        "two, roles independent": lambda: crossed(generator, identities, 200, skewed=skewed, alike=0.0),
        "two, roles alike": lambda: crossed(generator, identities, 200, skewed=skewed, alike=0.8),
        "two, roles opposed": lambda: crossed(generator, identities, 200, skewed=skewed, alike=-0.5),
    }
    for name, draw in rows.items():
        hits, widths = 0, []
        for _ in range(TRIALS):
            scores = draw()
            found = weighted_mean_interval(scores.values, scores.frames, scores.sources, scores.drivers)
            hits += found.low <= 0.0 <= found.high
            widths.append(found.high - found.low)
        with capsys.disabled():
            print(
                f"\n{identities:4d} identities, {'skewed' if skewed else 'normal'}, {name}: "
                f"{100 * hits / TRIALS:.1f} % covered, median width {np.median(widths):.3f}",
                end="",
            )
    intervals._resamples.cache_clear()
