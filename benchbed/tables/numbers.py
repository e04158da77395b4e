"""How numbers are shown: one number of decimals per column, three to four significant digits."""

from __future__ import annotations

import math
from collections.abc import Iterable


def decimals_for(values: Iterable[float]) -> int:
    """Decimals for a column.

    The smallest value gets three significant digits as long as the largest gets no more than four (and never
    fewer than three). Zeros and infinities do not count.
    """
    sizes = [abs(value) for value in values if math.isfinite(value) and value != 0]
    if not sizes:
        return 1
    smallest, largest = (_exponent(size) for size in (min(sizes), max(sizes)))
    wanted = max(min(2 - smallest, 3 - largest), 2 - largest)
    return min(max(wanted, 0), 8)


def _exponent(size: float) -> int:
    # By formatting: 0.09996 shown with three digits is 0.100, one decade up.
    return int(f"{size:.2e}".partition("e")[2])


def fixed(value: float, decimals: int) -> str:
    """A value with that many decimals; never `-0.0`."""
    if not math.isfinite(value):
        return "inf" if value > 0 else "-inf"
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def half_width(low: float, high: float, decimals: int) -> str:
    """`± half-width` of an interval, empty where there is no finite one."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"± {fixed((high - low) / 2, decimals)}"


def significant(value: float) -> str:
    """A single value with three significant digits and no exponent: 0.0312, 5.12, 843, 12040."""
    if value == 0 or not math.isfinite(value):
        return fixed(value, 0)
    return fixed(value, min(max(2 - _exponent(value), 0), 8))


def counted(count: float) -> str:
    """A count of parameters: 0, 912, 45.6 k, 59.8 M."""
    for size, suffix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= size:
            return f"{significant(count / size)}{suffix}"
    return str(int(count))


def bytes_text(count: float) -> str:
    """A number of bytes: 512 B, 1.20 MiB, 3.41 GiB."""
    for size, suffix in ((2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB")):
        if count >= size:
            return f"{significant(count / size)}{suffix}"
    return f"{int(count)} B"
