"""Curves with error bars, a panel per metric: the only figures benchbed draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Point = tuple[float, float, float, float]  # x, value, low, high
MARKERS = "osD^vP*X<>hd8p"
PANEL_WIDTH, PANEL_HEIGHT = 4.2, 3.2  # inches
MOST_COLUMNS = 4


def curves(panels: Mapping[str, Mapping[str, Sequence[Point]]], *, x_label: str) -> Figure:
    """A figure with a panel per name, a line per method, error bars where there are intervals.

    Args:
        panels: panel name -> method -> points in the order of x.
        x_label: under every panel.
    """
    from matplotlib.figure import Figure

    columns = min(MOST_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(PANEL_WIDTH * columns, PANEL_HEIGHT * rows + 0.6), layout="constrained")
    methods = list(dict.fromkeys(method for lines in panels.values() for method in lines))
    palette = _palette(len(methods))
    for index, (name, lines) in enumerate(panels.items()):
        axes = figure.add_subplot(rows, columns, index + 1)
        for method, points in lines.items():
            place = methods.index(method)
            x, value, low, high = (list(part) for part in zip(*points, strict=True))
            bars = [
                [v - a if math.isfinite(a) else 0.0 for v, a in zip(value, low, strict=True)],
                [b - v if math.isfinite(b) else 0.0 for v, b in zip(value, high, strict=True)],
            ]
            axes.errorbar(
                x, value, yerr=bars, label=method, color=palette[place], marker=MARKERS[place % len(MARKERS)],
                markersize=4, linewidth=1.2, capsize=2, elinewidth=0.7,
            )  # fmt: skip
        axes.set_title(name, fontsize=10)
        axes.set_xlabel(x_label, fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.25)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(8, len(labels)), fontsize=8)
    return figure


def _palette(count: int) -> list[tuple[float, float, float, float]]:
    from matplotlib import colormaps

    colours = colormaps["tab20" if count > 10 else "tab10"]
    return [colours(index % colours.N) for index in range(count)]
