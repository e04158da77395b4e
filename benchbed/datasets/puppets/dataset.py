"""The drawn datasets `puppets` and `puppets-creatures`: any character in any motion, by clip id.

Clip ids, where C and M are three digits:

    test/cC-mM          character C of the split performs motion M of the split
    test/cC-mM-from-mN  character C starts in the first pose of motion N and follows motion M's change of
                        pose since M's first frame: the exact answer to relative transfer from clip
                        `test/cC-mN` with driving clip `test/c...-mM`

Every combination resolves through `clip`, `frames` and `keypoints`; `clips` lists the standard split. The
background belongs to the character, so `test/c003-m011` is the exact answer to animating character 3 with a
clip of motion 11, whoever performs it there. Characters and motions of train and test have different seeds.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from benchbed.datasets.puppets.characters import Character, draw_character
from benchbed.datasets.puppets.creature_motions import draw_creature_motion
from benchbed.datasets.puppets.creatures import Creature, draw_creature, pose_creature
from benchbed.datasets.puppets.motions import draw_puppet_motion
from benchbed.datasets.puppets.renderer import RENDERER_VERSION, render
from benchbed.datasets.puppets.shapes import Background, Figure
from benchbed.datasets.puppets.skeleton import pose_puppet
from benchbed.datasets.puppets.trajectory import Motion, continue_from, is_large_displacement
from benchbed.errors import BenchbedError
from benchbed.interfaces.dataset import Clip, ExactKeypoints

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

TRAIN_CHARACTERS = 64
TRAIN_MOTIONS_EACH = 8
TEST_CLIPS = 24
LARGE_DISPLACEMENT = "large-displacement"

_CLIP_ID = re.compile(
    r"(?P<split>[a-z]+)/c(?P<character>\d{3})-m(?P<motion>\d{3})(?:-from-m(?P<start>\d{3}))?"
)


class _Scenic(Protocol):
    @property
    def background(self) -> Background: ...


Identity = TypeVar("Identity", bound=_Scenic)


@dataclass(frozen=True)
class World(Generic[Identity]):
    """How the characters of a drawn dataset are made and moved.

    Args:
        name, domain: of the dataset.
        splits: those that exist.
        draw_character: seed text -> character.
        draw_motion: seed text, index -> motion.
        pose: character, poses -> figure.
    """

    name: str
    domain: str
    splits: tuple[str, ...]
    draw_character: Callable[[str], Identity]
    draw_motion: Callable[[str, int], Motion]
    pose: Callable[[Identity, np.ndarray], Figure]


@dataclass(frozen=True)
class _Scene:
    """A clip id, taken apart."""

    split: str
    character: int
    motion: int
    start: int | None


class DrawnDataset(Generic[Identity]):
    """A `Dataset` whose clips are drawn on demand; see the module's text for the clip ids."""

    decoder = "drawn"
    notes: tuple[str, ...] = ()

    def __init__(self, world: World[Identity], resolution: int) -> None:
        if not 32 <= resolution <= 512 or resolution % 32:
            raise BenchbedError(
                f"{world.name} cannot be drawn at {resolution} pixels: choose a multiple of 32 from 32 to 512"
            )
        self.name = world.name
        self.domain = world.domain
        self.resolution = (resolution, resolution)
        text = f"{world.name}/renderer-{RENDERER_VERSION}/{resolution}"
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()
        self._world = world
        self._known: dict[str, ExactKeypoints] = {}

    def clips(self, split: str) -> list[Clip]:
        """The standard clips of a split: one per test identity, several per train identity."""
        self._check_split(split)
        if split == "test":
            pairs = [(index, index) for index in range(TEST_CLIPS)]
        else:
            # motions are not shared between train characters: 512 clips show 512 motions
            pairs = [
                (character, character * TRAIN_MOTIONS_EACH + turn)
                for character in range(TRAIN_CHARACTERS)
                for turn in range(TRAIN_MOTIONS_EACH)
            ]
        return [self.clip(f"{split}/c{character:03d}-m{motion:03d}") for character, motion in pairs]

    def clip(self, clip_id: str) -> Clip:
        """The clip of that id, listed or not.

        Raises:
            BenchbedError: the id does not follow the grammar, or its split does not exist.
        """
        scene = self._parse(clip_id)
        tags = (LARGE_DISPLACEMENT,) if is_large_displacement(scene.motion) else ()
        return Clip(clip_id, f"{scene.split}/c{scene.character:03d}", self.domain, tags)

    def images(self, clip_id: str) -> np.ndarray:
        """All frames as a numpy array, uint8 `(T, 3, H, W)` RGB."""
        scene = self._parse(clip_id)
        character = self._character(scene)
        return render(self._figure(scene, character), character.background, self.resolution[0])

    def frames(self, clip_id: str) -> Tensor:
        """All frames of a clip, uint8 `[T, 3, H, W]` RGB."""
        import torch

        return torch.from_numpy(self.images(clip_id))

    def keypoints(self, clip_id: str) -> ExactKeypoints:
        """The exact key points, without drawing anything; kept, as every method is compared with them again."""
        if clip_id not in self._known:
            scene = self._parse(clip_id)
            figure = self._figure(scene, self._character(scene))
            self._known[clip_id] = figure.keypoints(self.resolution[0])
        return self._known[clip_id]

    def truth(self, source: str, driving: str, transfer: str) -> str | None:
        """The source's character doing the driving clip's motion, see the module's text; None across splits.

        The answer to relative transfer from a clip that itself continues another's first pose is not in the grammar.
        """
        shown, moved = self._parse(source), self._parse(driving)
        if shown.split != moved.split or moved.start is not None or shown.start is not None:
            return None
        scene = f"{shown.split}/c{shown.character:03d}-m{moved.motion:03d}"
        return scene if transfer == "absolute" else f"{scene}-from-m{shown.motion:03d}"

    def _check_split(self, split: str) -> None:
        if split not in self._world.splits:
            known = ", ".join(self._world.splits)
            raise BenchbedError(f"{self.name} has no split {split!r}: choose one of {known}")

    def _parse(self, clip_id: str) -> _Scene:
        match = _CLIP_ID.fullmatch(clip_id)
        if match is None:
            raise BenchbedError(
                f"{self.name} has no clip {clip_id!r}: ids read test/c007-m011 or test/c007-m011-from-m007"
            )
        self._check_split(match["split"])
        start = None if match["start"] is None else int(match["start"])
        return _Scene(match["split"], int(match["character"]), int(match["motion"]), start)

    def _character(self, scene: _Scene) -> Identity:
        return self._world.draw_character(f"{self.name}/{scene.split}/character/{scene.character}")

    def _poses(self, scene: _Scene, motion: int) -> np.ndarray:
        return self._world.draw_motion(f"{self.name}/{scene.split}/motion/{motion}", motion).poses

    def _figure(self, scene: _Scene, character: Identity) -> Figure:
        poses = self._poses(scene, scene.motion)
        if scene.start is not None:
            poses = continue_from(self._poses(scene, scene.start)[0], poses)
        return self._world.pose(character, poses)


PUPPETS: World[Character] = World(
    "puppets", "body", ("train", "test"), draw_character, draw_puppet_motion, pose_puppet
)
CREATURES: World[Creature] = World(
    "puppets-creatures", "animal", ("test",), draw_creature, draw_creature_motion, pose_creature
)


def open_puppets(*, resolution: int = 64) -> DrawnDataset[Character]:
    """Two-legged puppets, splits `train` and `test`, square frames of `resolution` pixels."""
    return DrawnDataset(PUPPETS, resolution)


def open_creatures(*, resolution: int = 64) -> DrawnDataset[Creature]:
    """Four-legged creatures, split `test` alone, square frames of `resolution` pixels."""
    return DrawnDataset(CREATURES, resolution)
