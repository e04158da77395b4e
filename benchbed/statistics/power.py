"""What a test set can resolve."""

from __future__ import annotations

import math

from scipy import optimize, stats

# The smallest p of a sign-flip test is 2 / 2^K: with fewer identities nothing can be significant at 5 %.
FEWEST_IDENTITIES = 6


def resolvable_difference(
    error: float, freedom: int, *, power: float = 0.8, level: float = 0.05, test: str = "sign-flip"
) -> float:
    """The smallest true difference that a two-sided test would find in `power` of all repetitions.

    Args:
        error: standard error of the difference.
        freedom: its degrees of freedom.
        test: `sign-flip` or `jackknife-t`.

    Returns:
        In the unit of the error; infinity for sign flips of fewer than 6 identities, NaN where there is no error.

    Source: Cohen 1988, section 2.4, with the noncentral t distribution.
    """
    if math.isnan(error) or freedom < 1:
        return math.nan
    if test == "sign-flip" and freedom + 1 < FEWEST_IDENTITIES:
        return math.inf
    critical = float(stats.t.ppf(1 - level / 2, freedom))

    def missing(shift: float) -> float:
        # The other tail is below 0.001 of any power worth having.
        return float(stats.nct.sf(critical, freedom, shift)) - power

    return error * float(optimize.brentq(missing, 0.0, critical + 10.0))
