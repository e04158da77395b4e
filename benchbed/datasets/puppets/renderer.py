"""Draw figures on backgrounds: analytic anti-aliasing, textures fixed to the parts, any square resolution.

Pixels use additions, multiplications, divisions and square roots alone (correctly rounded everywhere), and
geometry is snapped to a grid far finer than a pixel, so that a clip has the same bytes on every machine.
"""

from __future__ import annotations

import numpy as np

from benchbed.datasets.puppets.shapes import SHORTEST, Background, Figure, Part, Texture

RENDERER_VERSION = 2

_SNAP = float(2**20)
_LIGHT = (-0.5, -0.8)


def render(figure: Figure, background: Background, resolution: int) -> np.ndarray:
    """All frames of a figure before its background, uint8 `(T, 3, resolution, resolution)` RGB."""
    backdrop = render_background(background, resolution)
    frames = np.empty((len(figure.parts[0].depth), *backdrop.shape), dtype=np.uint8)
    depths = np.round(np.stack([part.depth for part in figure.parts]) * _SNAP)
    order = np.argsort(depths, axis=0, kind="stable")
    for index in range(len(frames)):
        canvas = backdrop.copy()
        for nearer in order[:, index]:
            part = figure.parts[nearer]
            if part.shown[index]:
                _paint(canvas, part, index)
        frames[index] = _to_bytes(canvas)
    return frames


def render_background(background: Background, resolution: int) -> np.ndarray:
    """The backdrop alone, float32 `(3, resolution, resolution)` in [0, 1]."""
    pixel = 1.0 / resolution
    centre = ((np.arange(resolution) + 0.5) * pixel).astype(np.float32)
    x, y = centre[None, :], centre[:, None]
    share = y + 0.15 * (x - 0.5)
    canvas = _colour(background.top) + _colour(_difference(background.top, background.bottom)) * share
    cover = _pattern(background, x, y, np.float32(pixel)) + np.zeros_like(share)
    canvas += cover * (_colour(background.accent) - canvas)
    clouds = _noise(background.coarse, centre) + 0.4 * _noise(background.fine, centre)
    canvas *= 1.0 + 0.18 * (clouds - 0.7)
    return np.clip(canvas, 0.0, 1.0).astype(np.float32)


def _to_bytes(canvas: np.ndarray) -> np.ndarray:
    return (np.clip(canvas, 0.0, 1.0) * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)


def _colour(colour: tuple[float, ...]) -> np.ndarray:
    return np.array(colour, dtype=np.float32).reshape(3, 1, 1)


def _difference(first: tuple[float, ...], second: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(b - a for a, b in zip(first, second, strict=True))


def _snap(values: np.ndarray) -> tuple[float, ...]:
    return tuple((np.round(values * _SNAP) / _SNAP).tolist())


def _paint(canvas: np.ndarray, part: Part, index: int) -> None:
    """Blend one part of one frame into the canvas `(3, R, R)`."""
    resolution = canvas.shape[-1]
    ax, ay = _snap(part.start[index])
    bx, by = _snap(part.end[index])
    (w0, w1), (r0, r1) = _snap(part.width[index]), _snap(part.radius[index])
    reach = max(w0, w1) + max(r0, r1) + 1.0 / resolution
    left = max(int((min(ax, bx) - reach) * resolution), 0)
    right = min(int((max(ax, bx) + reach) * resolution) + 1, resolution)
    top = max(int((min(ay, by) - reach) * resolution), 0)
    bottom = min(int((max(ay, by) + reach) * resolution) + 1, resolution)
    if left >= right or top >= bottom:
        return

    length = ((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5
    if length < SHORTEST:
        bx, by, length = ax, ay + SHORTEST, SHORTEST
    dx, dy = (bx - ax) / length, (by - ay) / length
    x = ((np.arange(left, right) + 0.5) / resolution - ax).astype(np.float32)[None, :]
    y = ((np.arange(top, bottom) + 0.5) / resolution - ay).astype(np.float32)[:, None]
    along = x * np.float32(dx) + y * np.float32(dy)
    across = y * np.float32(dx) - x * np.float32(dy)
    share = np.clip(along * np.float32(1.0 / length), 0.0, 1.0)
    half = share * np.float32(w1 - w0) + np.float32(w0)
    radius = share * np.float32(r1 - r0) + np.float32(r0)
    beyond = along - share * np.float32(length)
    aside = np.maximum(np.abs(across) - half, 0.0)
    distance = np.sqrt(beyond * beyond + aside * aside) - radius
    cover = np.clip(np.float32(0.5) - distance * np.float32(resolution), 0.0, 1.0)

    side = np.clip(across / (half + radius), -1.0, 1.0)
    paint = _texture(part, index, along, side, share, length, 1.0 / resolution)
    for band in part.bands:
        edge = np.float32(length * resolution)
        inside = np.minimum(share - np.float32(band.low), np.float32(band.high) - share) * edge
        paint += np.clip(inside + np.float32(0.5), 0.0, 1.0) * (_colour(band.colour) - paint)

    # a rounded look: dimmer towards the rim, brighter on the side that faces the light, dimmer where deeper
    facing = np.float32(_LIGHT[1] * dx - _LIGHT[0] * dy)
    near = min(max(float(_snap(part.depth[index : index + 1])[0]), -0.12), 0.12)
    shade = np.float32(1.05 + 0.8 * near) - np.float32(0.24) * side * side + np.float32(0.13) * facing * side
    rim = np.clip((distance + np.float32(part.outline)) * np.float32(resolution) + np.float32(0.5), 0.0, 1.0)
    paint *= shade * (np.float32(1.0) - np.float32(0.6 if part.outline else 0.0) * rim)

    window = canvas[:, top:bottom, left:right]
    window += cover * (np.clip(paint, 0.0, 1.0) - window)


def _texture(
    part: Part,
    index: int,
    along: np.ndarray,
    side: np.ndarray,
    share: np.ndarray,
    length: float,
    pixel: float,
) -> np.ndarray:
    """The part's colours before shading, float32 `(3, h, w)`."""
    texture = part.texture
    if texture.kind == "plain":
        return _colour(texture.first) + np.zeros_like(along)
    stretch = part.length / max(length, 0.3 * part.length)
    rate_along = texture.along * stretch * pixel
    widest = max(*_snap(part.width[index] + part.radius[index]), 1e-3)
    rate_around = texture.around * 0.4 * pixel / widest
    turn = float(_snap(part.turn[index : index + 1])[0])
    u = along * np.float32(texture.along * stretch)
    # odd polynomial close to the arc sine: the pattern narrows towards the rim as on a cylinder
    v = (side * (np.float32(1.0) + np.float32(0.35) * side * side) + np.float32(turn)) * np.float32(
        texture.around / np.pi
    )
    weight = _weight(texture, u, v, share, np.float32(rate_along), np.float32(rate_around))
    return _colour(texture.first) + weight * _colour(_difference(texture.first, texture.second))


def _weight(
    texture: Texture, u: np.ndarray, v: np.ndarray, share: np.ndarray, rate_u: np.float32, rate_v: np.float32
) -> np.ndarray:
    """How much of the second colour, in [0, 1]; `rate` is in cycles per pixel, for anti-aliasing."""
    if texture.kind == "gradient":
        return share
    if texture.kind == "rings":
        return _square_wave(u, rate_u)
    if texture.kind == "stripes":
        return _square_wave(v, rate_v)
    if texture.kind == "diagonal":
        return _square_wave(u + v, rate_u + rate_v)
    if texture.kind == "zigzag":
        return _square_wave(u + np.abs(v - np.floor(v) - np.float32(0.5)), rate_u + np.float32(0.5) * rate_v)
    if texture.kind == "checks":
        first, second = _square_wave(u, rate_u), _square_wave(v, rate_v)
        return first + second - np.float32(2.0) * first * second
    if texture.kind == "dots":
        row = np.floor(u)
        p = u - row - np.float32(0.5)
        q = v + row * np.float32(0.5)
        q = q - np.floor(q) - np.float32(0.5)
        return np.clip(
            np.float32(0.5) + (np.float32(0.34) - np.sqrt(p * p + q * q)) / np.maximum(rate_u, rate_v), 0, 1
        )
    raise ValueError(f"unknown texture {texture.kind!r}")


def _square_wave(cycles: np.ndarray, rate: np.float32) -> np.ndarray:
    """0 and 1 in turn, half a cycle each, averaged over one pixel."""
    triangle = np.abs(cycles - np.floor(cycles) - np.float32(0.5)) - np.float32(0.25)
    return np.clip(np.float32(0.5) + triangle / rate, 0.0, 1.0)


def _noise(lattice: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Smooth noise between the values of a square lattice, `(R, R)` in [0, 1)."""
    place = centre * np.float32(len(lattice) - 1)
    cell = np.minimum(place.astype(np.int64), len(lattice) - 2)
    t = place - cell
    t = t * t * (np.float32(3.0) - np.float32(2.0) * t)
    rows = lattice[cell] + t[:, None] * (lattice[cell + 1] - lattice[cell])
    return rows[:, cell] + t[None, :] * (rows[:, cell + 1] - rows[:, cell])


def _pattern(background: Background, x: np.ndarray, y: np.ndarray, pixel: np.float32) -> np.ndarray:
    """Cover of the accent colour, `(R, R)` or smaller, in [0, 1]."""
    scale, shift = np.float32(background.scale), np.float32(background.shift)
    if background.pattern == "hills":
        phase = x * scale * np.float32(0.5) + shift
        bump = np.abs(phase - np.floor(phase) - np.float32(0.5)) * np.float32(2.0)
        bump = bump * bump * (np.float32(3.0) - np.float32(2.0) * bump)
        horizon = np.float32(0.6) + np.float32(0.16) * bump
        return np.clip((y - horizon) / pixel + np.float32(0.5), 0.0, 1.0)
    if background.pattern == "discs":
        cover = np.zeros((y.shape[0], x.shape[1]), dtype=np.float32)
        for cx, cy, size in background.places:
            radius = np.float32(0.06) + np.float32(0.14) * size
            distance = np.sqrt((x - cx) ** 2 + (y - cy) ** 2) - radius
            cover = np.maximum(cover, np.clip(np.float32(0.5) - distance / pixel, 0.0, 1.0))
        return cover
    if background.pattern == "panels":
        return _square_wave(x * scale + shift, scale * pixel)
    if background.pattern == "tiles":
        first = _square_wave(x * scale + shift, scale * pixel)
        second = _square_wave(y * scale + shift, scale * pixel)
        return first + second - np.float32(2.0) * first * second
    raise ValueError(f"unknown background pattern {background.pattern!r}")
