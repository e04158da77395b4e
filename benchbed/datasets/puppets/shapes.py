"""What a drawn figure is made of: textured parts in depth order, moving key points, a still background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchbed.interfaces.dataset import ExactKeypoints

Colour = tuple[float, float, float]
SHORTEST = 1e-5


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour `share` of the way from the first to the second."""
    r, g, b = (a + (z - a) * share for a, z in zip(first, second, strict=True))
    return (r, g, b)


@dataclass(frozen=True)
class Texture:
    """A two-colour pattern fixed to a part's own coordinates.

    Args:
        kind: `plain`, `rings`, `stripes`, `checks`, `dots`, `diagonal`, `zigzag` or `gradient`.
        first, second: RGB in [0, 1].
        along: cycles per unit of the part's own length (the frame's side is 1).
        around: cycles around half the part.
    """

    kind: str
    first: Colour
    second: Colour
    along: float = 20.0
    around: float = 2.0


@dataclass(frozen=True)
class Band:
    """A plain ring around a part, from share `low` to share `high` of its length."""

    low: float
    high: float
    colour: Colour


@dataclass(frozen=True)
class Part:
    """A tapered, rounded piece of the figure over the T frames of a clip, in shares of the frame's side.

    The outline is everything within `radius` of a trapezoid around the bone: with zero `width` a capsule.

    Args:
        group: what it belongs to, for key-point visibility (`torso`, `left-forearm`, ...).
        start, end: bone ends, float64 `(T, 2)`, (x, y), y down.
        width: flat half-width at both ends, `(T, 2)`.
        radius: rounding at both ends, `(T, 2)`.
        depth: greater is nearer to the viewer, `(T,)`.
        length: the bone's own length without foreshortening; textures are laid out along it.
        texture, bands: its paint.
        turn: rotation of the texture around the bone, radians, `(T,)`.
        outline: width of the dark rim.
        thickness: joints this much deeper than the part's axis are hidden even by their own part.
        shown: bool `(T,)`; False where the part is turned away and not drawn.
    """

    group: str
    start: np.ndarray
    end: np.ndarray
    width: np.ndarray
    radius: np.ndarray
    depth: np.ndarray
    length: float
    texture: Texture
    bands: tuple[Band, ...]
    turn: np.ndarray
    outline: float
    thickness: float
    shown: np.ndarray

    def covers(self, points: np.ndarray) -> np.ndarray:
        """Whether the part covers `(T, 2)` points, one per frame; bool `(T,)`."""
        bone = self.end - self.start
        # a bone that points at the viewer has no direction of its own: take it as upright
        bone = np.where((bone**2).sum(1, keepdims=True) < SHORTEST**2, [0.0, SHORTEST], bone)
        length = np.sqrt((bone**2).sum(1))
        offset = points - self.start
        along = (offset * bone).sum(1) / length
        across = (offset[:, 1] * bone[:, 0] - offset[:, 0] * bone[:, 1]) / length
        share = np.clip(along / length, 0.0, 1.0)
        width = self.width[:, 0] + (self.width[:, 1] - self.width[:, 0]) * share
        radius = self.radius[:, 0] + (self.radius[:, 1] - self.radius[:, 0]) * share
        outside = np.maximum(np.abs(across) - width, 0.0)
        return self.shown & (np.sqrt((along - share * length) ** 2 + outside**2) < radius)


@dataclass(frozen=True)
class JointTrack:
    """One key point over a clip.

    Args:
        name: as reported.
        position: float64 `(T, 2)`, (x, y) in shares of the frame's side.
        depth: `(T,)`, greater is nearer.
        owners: groups of parts that do not hide it.
    """

    name: str
    position: np.ndarray
    depth: np.ndarray
    owners: tuple[str, ...]


@dataclass(frozen=True)
class Figure:
    """A character in a sequence of poses: its parts and its key points."""

    parts: tuple[Part, ...]
    joints: tuple[JointTrack, ...]

    def visible(self) -> np.ndarray:
        """Where the front-most part over a joint is one of its own and the joint is inside; bool `(T, K)`."""
        depths = np.stack([part.depth for part in self.parts])
        columns = []
        for joint in self.joints:
            covering = np.stack([part.covers(joint.position) for part in self.parts])
            front = np.where(covering, depths, -np.inf).argmax(0)
            own = np.array([part.group in joint.owners for part in self.parts])[front]
            thickness = np.array([part.thickness for part in self.parts])[front]
            buried = joint.depth < np.take_along_axis(depths, front[None], 0)[0] - thickness
            inside = ((joint.position > 0.0) & (joint.position < 1.0)).all(1)
            columns.append(inside & (~covering.any(0) | (own & ~buried)))
        return np.stack(columns, axis=1)

    def keypoints(self, resolution: int) -> ExactKeypoints:
        """The key points in pixels of frames of that size."""
        positions = np.stack([joint.position for joint in self.joints], axis=1) * resolution - 0.5
        names = tuple(joint.name for joint in self.joints)
        return ExactKeypoints(positions.astype(np.float32), self.visible(), names)


@dataclass(frozen=True)
class Background:
    """A still backdrop of low contrast.

    Args:
        top, bottom: colours of the gradient.
        pattern: `hills`, `discs`, `panels` or `tiles`, painted in `accent`.
        accent: colour of the pattern.
        scale, shift: size and offset of the pattern.
        places: float32 `(6, 3)` in [0, 1): centre and size of each disc.
        coarse, fine: lattices of the cloudy noise, float32 in [0, 1).
    """

    top: Colour
    bottom: Colour
    pattern: str
    accent: Colour
    scale: float
    shift: float
    places: np.ndarray
    coarse: np.ndarray
    fine: np.ndarray
