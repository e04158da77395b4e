"""From bones in three dimensions to flat parts: axes and projection, shared by all figures."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from benchbed.datasets.puppets.shapes import Band, Figure, JointTrack, Part, Texture

OUTLINE = 0.0075
SPOT_LENGTH = 0.001


@dataclass(frozen=True)
class Frame:
    """A right-handed set of axes over time, each `(T, 3)`; x to the right, y down, z towards the viewer.

    `across` points to the figure's own left, `down` along the body, `forward` where it looks.
    """

    across: np.ndarray
    down: np.ndarray
    forward: np.ndarray

    def yawed(self, degrees: np.ndarray) -> Frame:
        """Turned about `down`; positive brings a figure that faces the viewer to look to the right."""
        across, forward = _rotate(self.across, self.forward, -degrees)
        return Frame(across, self.down, forward)

    def rolled(self, degrees: np.ndarray) -> Frame:
        """Leaning sideways, about `forward`; positive leans the top to the figure's own left."""
        down, across = _rotate(self.down, self.across, -degrees)
        return Frame(across, down, self.forward)

    def pitched(self, degrees: np.ndarray) -> Frame:
        """Leaning forward, about `across`."""
        forward, down = _rotate(self.forward, self.down, degrees)
        return Frame(self.across, down, forward)

    def limb(self, side: float, lift: np.ndarray, swing: np.ndarray) -> np.ndarray:
        """Direction of a bone: hanging, swung forward, lifted to `side` (+1 left, -1 right); degrees."""
        lift, swing = np.radians(lift)[:, None], np.radians(swing)[:, None]
        hanging = np.cos(swing) * self.down + np.sin(swing) * self.forward
        return side * np.sin(lift) * self.across + np.cos(lift) * hanging


def upright(tilt: np.ndarray) -> Frame:
    """Axes of a figure that faces the viewer, rotated in the picture by `tilt` degrees."""
    shape = (len(tilt), 3)
    across, down = _rotate(np.broadcast_to([1.0, 0, 0], shape), np.broadcast_to([0, 1.0, 0], shape), tilt)
    return Frame(across, down, np.broadcast_to([0, 0, 1.0], shape))


def _rotate(first: np.ndarray, second: np.ndarray, degrees: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both axes turned in their own plane, the first towards the second."""
    cosine, sine = np.cos(np.radians(degrees))[:, None], np.sin(np.radians(degrees))[:, None]
    return cosine * first + sine * second, cosine * second - sine * first


@dataclass
class Assembly:
    """Collects the parts and joints of one figure.

    Args:
        origin: `(T, 2)`, where the root is in the picture.
        size: `(T,)`, factor on all lengths.
    """

    origin: np.ndarray
    size: np.ndarray
    parts: list[Part] = field(default_factory=list)
    joints: list[JointTrack] = field(default_factory=list)

    def part(
        self,
        group: str,
        start: np.ndarray,
        end: np.ndarray,
        radius: tuple[float, float],
        texture: Texture,
        *,
        width: np.ndarray | float = 0.0,
        lift: float = 0.0,
        bands: tuple[Band, ...] = (),
        turn: np.ndarray | None = None,
        outline: float = OUTLINE,
        thickness: float = np.inf,
        shown: np.ndarray | None = None,
        depth: np.ndarray | None = None,
    ) -> None:
        """Add a part between two points `(T, 3)` relative to the root.

        Args:
            group, radius, texture, bands, outline, thickness, shown: see `Part`.
            width: flat half-width, one number or `(T, 2)`.
            lift: added to the depth, so that touching parts have a settled order.
            turn: degrees by which the texture is turned around the bone.
            depth: `(T,)` in place of the depth of the bone's middle.
        """
        count = len(self.size)
        scale = self.size[:, None]
        middle = (start[:, 2] + end[:, 2]) / 2 if depth is None else depth
        self.parts.append(
            Part(
                group=group,
                start=self._project(start),
                end=self._project(end),
                width=np.broadcast_to(width, (count, 2)) * scale,
                radius=np.broadcast_to(radius, (count, 2)) * scale,
                depth=middle + lift,
                length=float(np.sqrt(((end - start) ** 2).sum(1)).mean()),
                texture=texture,
                bands=bands,
                turn=np.zeros(count) if turn is None else np.radians(turn),
                outline=outline,
                thickness=thickness,
                shown=np.ones(count, dtype=bool) if shown is None else shown,
            )
        )

    def spot(
        self,
        group: str,
        place: np.ndarray,
        radius: float,
        texture: Texture,
        *,
        axis: np.ndarray | None = None,
        **options,
    ) -> None:
        """Add a disc, or with a width a bar, at `(T, 3)`.

        Args:
            axis: `(T, 3)` unit direction across the bar; the picture's vertical where None.
            options: as for `part`.
        """
        half = 0.5 * SPOT_LENGTH * (np.array([0.0, 1.0, 0.0]) if axis is None else axis)
        self.part(group, place - half, place + half, (radius, radius), texture, **options)

    def joint(self, name: str, place: np.ndarray, *owners: str) -> None:
        """Add a key point at `(T, 3)`, not hidden by parts of the `owners`."""
        self.joints.append(JointTrack(name, self._project(place), place[:, 2], owners))

    def figure(self) -> Figure:
        """All that was added."""
        return Figure(tuple(self.parts), tuple(self.joints))

    def _project(self, place: np.ndarray) -> np.ndarray:
        return self.origin + place[:, :2] * self.size[:, None]
