"""Colours of a scene: a muted background, and figure colours that stand out from it and from each other."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

from benchbed.datasets.puppets.draws import Draws
from benchbed.datasets.puppets.shapes import Background, Colour, Texture, mix

SKINS: tuple[Colour, ...] = (
    (0.98, 0.80, 0.66), (0.90, 0.66, 0.49), (0.74, 0.50, 0.34), (0.52, 0.33, 0.22), (0.36, 0.23, 0.17),
    (0.56, 0.78, 0.42), (0.45, 0.66, 0.90), (0.74, 0.56, 0.88), (0.95, 0.62, 0.70), (0.97, 0.83, 0.40),
)  # fmt: skip
PATTERNS = ("plain", "rings", "stripes", "checks", "dots", "diagonal", "zigzag", "gradient")


@dataclass(frozen=True)
class Marks:
    """The tones that tell left from right on every character: light on left limbs, dark on right ones."""

    left: Colour
    right: Colour


def distance(first: Colour, second: Colour) -> float:
    """Euclidean distance in RGB; black to white is 1.73."""
    return sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) ** 0.5


def draw_background(draws: Draws) -> Background:
    """A backdrop of two related muted tones, never so light or dark that a limb mark would vanish in it."""
    hue, low, high = draws.uniform(0, 1), *draws.choice(((0.66, 0.80), (0.48, 0.64), (0.33, 0.46)))
    saturation = draws.uniform(0.10, 0.42)
    top = colorsys.hsv_to_rgb(hue, saturation, draws.uniform(low, high))
    bottom = colorsys.hsv_to_rgb(hue + draws.uniform(-0.12, 0.12), saturation, draws.uniform(low, high))
    accent_hue = hue + draws.uniform(-0.25, 0.25)
    accent = colorsys.hsv_to_rgb(accent_hue, saturation, draws.uniform(low, high))
    return Background(
        top=top,
        bottom=bottom,
        pattern=draws.choice(("hills", "discs", "panels", "tiles")),
        accent=mix(mix(top, bottom, 0.5), accent, 0.85),
        scale=draws.uniform(2.0, 5.0),
        shift=draws.uniform(0.0, 1.0),
        places=draws.grid(6, 3),
        coarse=draws.grid(5, 5),
        fine=draws.grid(14, 14),
    )


def draw_colour(draws: Draws, apart_from: tuple[Colour, ...], margin: float = 0.42) -> Colour:
    """A vivid colour at least `margin` away from the given ones, or the farthest of forty tries."""
    best: tuple[float, Colour] = (-1.0, (0.0, 0.0, 0.0))
    for _ in range(40):
        colour = colorsys.hsv_to_rgb(draws.uniform(0, 1), draws.uniform(0.35, 0.95), draws.uniform(0.3, 1.0))
        nearest = min(distance(colour, other) for other in apart_from)
        best = max(best, (nearest, colour))
        if nearest > margin:
            return colour
    return best[1]


def draw_skin(draws: Draws, background: Background) -> Colour:
    """A skin tone, human or fabled, that stands out from the background."""
    tones = [
        tone for tone in SKINS if min(distance(tone, background.top), distance(tone, background.bottom)) > 0.3
    ]
    tone = draws.choice(tones or SKINS)
    return mix(tone, (0.5, 0.3, 0.2), draws.uniform(0.0, 0.15))


def draw_marks(draws: Draws, accent: Colour) -> Marks:
    """Left and right tones, tinted by the character's own accent."""
    return Marks(
        left=mix((1.0, 1.0, 0.97), accent, draws.uniform(0.0, 0.14)),
        right=mix((0.05, 0.04, 0.10), accent, draws.uniform(0.0, 0.14)),
    )


def draw_texture(draws: Draws, first: Colour, second: Colour, *, scale: float = 1.0) -> Texture:
    """A pattern of the two colours; `scale` above 1 makes it finer."""
    return Texture(
        kind=draws.choice(PATTERNS),
        first=first,
        second=second,
        along=scale * draws.uniform(9.0, 17.0),
        around=draws.uniform(2.0, 4.5),
    )
