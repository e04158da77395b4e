"""Creatures: four-legged animals, drawn and moved with the means of the puppets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from benchbed.datasets.puppets.assembly import Assembly, Frame, upright
from benchbed.datasets.puppets.draws import Draws
from benchbed.datasets.puppets.palette import Marks, draw_background, draw_colour, draw_marks, draw_texture
from benchbed.datasets.puppets.shapes import Background, Band, Colour, Figure, Texture, mix
from benchbed.datasets.puppets.trajectory import column

REST = (0.5, 0.50)
SIDES = (("left", 1.0), ("right", -1.0))
INK = (0.06, 0.05, 0.10)


@dataclass(frozen=True)
class Creature:
    """One identity; lengths in shares of the frame's side.

    Args:
        ears: `pointed`, `floppy` or `round`.
        crest: `none`, `mane`, `horns` or `hump`.
        collar: worn or not.
    """

    body: float
    girth: float
    leg: float
    leg_radius: float
    neck: float
    neck_angle: float
    head: float
    muzzle: float
    tail: float
    tail_radius: float
    coat: Texture
    second: Colour
    accent: Colour
    ears: str
    crest: str
    collar: bool
    marks: Marks
    background: Background


def draw_creature(seed: str) -> Creature:
    """The creature of a seed text."""
    draws = Draws(seed)
    background = draw_background(draws)
    behind = (background.top, background.bottom)
    coat = draw_colour(draws, behind)
    second = draw_colour(draws, (*behind, coat), margin=0.4)
    accent = draw_colour(draws, (*behind, coat), margin=0.45)
    return Creature(
        body=draws.uniform(0.26, 0.34),
        girth=draws.uniform(0.072, 0.105),
        leg=draws.uniform(0.105, 0.15),
        leg_radius=draws.uniform(0.028, 0.038),
        neck=draws.uniform(0.08, 0.16),
        neck_angle=draws.uniform(25, 60),
        head=draws.uniform(0.056, 0.072),
        muzzle=draws.uniform(0.05, 0.095),
        tail=draws.uniform(0.07, 0.12),
        tail_radius=draws.uniform(0.013, 0.03),
        coat=draw_texture(draws, coat, second),
        second=second,
        accent=accent,
        ears=draws.choice(("pointed", "floppy", "round")),
        crest=draws.choice(("none", "mane", "horns", "hump")),
        collar=draws.chance(0.5),
        marks=draw_marks(draws, accent),
        background=background,
    )


def pose_creature(creature: Creature, poses: np.ndarray) -> Figure:
    """The figure of a creature in poses `(T, len(POSE))`; 15 key points."""
    origin = np.array(REST) + np.stack([column(poses, "x"), column(poses, "y")], axis=1)
    assembly = Assembly(origin, 1.0 + column(poses, "size"))
    ground = upright(column(poses, "tilt")).yawed(column(poses, "yaw"))
    trunk = ground.pitched(column(poses, "pitch"))
    withers = 0.5 * creature.body * trunk.forward
    rump = -0.5 * creature.body * trunk.forward
    _add_head(assembly, creature, trunk, withers, poses)
    _add_trunk(assembly, creature, trunk, withers, rump)
    _add_tail(assembly, creature, trunk, rump, poses)
    for end, place in (("front", withers), ("back", rump)):
        for name, side in SIDES:
            _add_leg(assembly, creature, trunk, place, f"{name}_{end}", side, poses)
    return assembly.figure()


def _plain(colour: Colour) -> Texture:
    return Texture("plain", colour, colour)


def _add_trunk(
    assembly: Assembly, creature: Creature, trunk: Frame, withers: np.ndarray, rump: np.ndarray
) -> None:
    girth = creature.girth
    assembly.part("trunk", withers, rump, (girth, 0.92 * girth), creature.coat, thickness=0.16)
    if creature.crest == "hump":
        hump = -0.85 * girth * trunk.down
        assembly.spot("trunk", hump, 0.6 * girth, creature.coat, lift=-0.004)
    assembly.joint("spine-front", withers, "trunk", "neck", "left-front-thigh", "right-front-thigh")
    assembly.joint("spine-back", rump, "trunk", "left-back-thigh", "right-back-thigh", "tail")


def _add_head(
    assembly: Assembly, creature: Creature, trunk: Frame, withers: np.ndarray, poses: np.ndarray
) -> None:
    size, up = creature.head, -trunk.down
    rise = np.radians(creature.neck_angle - column(poses, "head_pitch"))[:, None]
    direction = np.cos(rise) * trunk.forward + np.sin(rise) * up
    base = withers + 0.35 * creature.girth * up
    head = base + (creature.neck + 0.5 * creature.girth) * direction
    frame = trunk.yawed(column(poses, "head_yaw")).pitched(column(poses, "head_pitch"))
    nose = head + creature.muzzle * (0.95 * frame.forward + 0.3 * frame.down)
    depth = head[:, 2] + 0.03
    skin = creature.coat.first
    neck = 0.62 * creature.girth
    assembly.part("neck", base, head, (neck, 0.75 * size), creature.coat, lift=0.005)
    if creature.collar:
        low, high = base + 0.5 * (head - base), base + 0.62 * (head - base)
        assembly.part("neck", low, high, (0.9 * neck, 0.85 * neck), _plain(creature.accent), lift=0.008)
    if creature.crest == "mane":
        fur = Texture("rings", creature.second, mix(creature.second, (0.0, 0.0, 0.0), 0.4), along=22.0)
        back = -0.55 * size * frame.forward
        assembly.part(
            "mane", base + back, head + back + 0.5 * size * up, (0.7 * neck, 0.45 * size), fur, lift=-0.005
        )
    _add_ears(assembly, creature, frame, head, depth)
    assembly.spot("head", head, size, _plain(skin), depth=depth)
    snout = mix(skin, creature.second, 0.55)
    assembly.part(
        "head",
        head + 0.3 * (nose - head),
        nose,
        (0.62 * size, 0.5 * size),
        _plain(snout),
        depth=depth,
        lift=0.002,
    )
    feature = partial(assembly.spot, "head", depth=depth, outline=0.0)
    for side in (0.55, -0.55):
        outward = 0.72 * frame.forward + side * 1.25 * frame.across - 0.35 * frame.down
        eye, facing = head + 0.78 * size * outward, outward[:, 2] > 0.05
        feature(eye, 0.018, _plain((1.0, 1.0, 1.0)), lift=0.003, shown=facing)
        feature(eye + 0.006 * frame.forward, 0.011, _plain(INK), lift=0.0035, shown=facing)
    feature(nose, 0.3 * size, _plain(INK), lift=0.004)
    assembly.joint("nose", nose, "head")
    assembly.joint("head", head, "head")
    assembly.joint("neck", base, "neck", "trunk", "mane")


def _add_ears(
    assembly: Assembly, creature: Creature, frame: Frame, head: np.ndarray, depth: np.ndarray
) -> None:
    size, up = creature.head, -frame.down
    for name, side in SIDES:
        mark = creature.marks.left if name == "left" else creature.marks.right
        root = head + 0.6 * size * up + 0.55 * side * size * frame.across
        lift = np.where(side * frame.across[:, 2] > 0, 0.0025, -0.003)
        tone = Texture("gradient", creature.coat.first, mix(creature.second, mark, 0.5))
        if creature.ears == "pointed":
            tip, radius = root + size * (0.95 * up + 0.3 * side * frame.across), (0.42 * size, 0.12 * size)
        elif creature.ears == "round":
            tip, radius = root + 0.35 * size * up, (0.4 * size, 0.42 * size)
        else:
            tip, radius = root + size * (0.6 * side * frame.across - 1.0 * up), (0.3 * size, 0.36 * size)
        assembly.part("head", root, tip, radius, tone, depth=depth + lift)
        if creature.crest == "horns":
            horn = root + 0.1 * size * frame.forward
            end = horn + size * (1.1 * up + 0.5 * frame.forward)
            assembly.part(
                "head",
                horn,
                end,
                (0.2 * size, 0.08 * size),
                _plain((0.93, 0.88, 0.75)),
                depth=depth + 1.1 * lift,
            )


def _add_tail(
    assembly: Assembly, creature: Creature, trunk: Frame, rump: np.ndarray, poses: np.ndarray
) -> None:
    lift, swing = (
        np.radians(column(poses, "tail_raise"))[:, None],
        np.radians(column(poses, "tail_swing"))[:, None],
    )
    away = -np.cos(lift) * trunk.forward - np.sin(lift) * trunk.down
    direction = np.cos(swing) * away + np.sin(swing) * trunk.across
    base = rump - 0.75 * creature.girth * trunk.forward - 0.35 * creature.girth * trunk.down
    middle = base + creature.tail * direction
    curl = lift + 0.6
    tip = middle + 0.8 * creature.tail * (
        np.cos(swing) * (-np.cos(curl) * trunk.forward - np.sin(curl) * trunk.down)
        + np.sin(swing) * trunk.across
    )
    thin, bushy = creature.tail_radius, 1.35 * creature.tail_radius
    assembly.part("tail", base, middle, (thin, thin), creature.coat, lift=-0.002)
    assembly.part(
        "tail",
        middle,
        tip,
        (thin, bushy),
        _plain(creature.second),
        lift=-0.001,
        bands=(Band(0.6, 1.2, creature.accent),),
    )
    assembly.joint("tail-middle", middle, "tail")
    assembly.joint("tail-tip", tip, "tail")


def _add_leg(
    assembly: Assembly,
    creature: Creature,
    trunk: Frame,
    root: np.ndarray,
    limb: str,
    side: float,
    poses: np.ndarray,
) -> None:
    mark = creature.marks.left if side > 0 else creature.marks.right
    lift, swing = column(poses, f"{limb}_raise"), column(poses, f"{limb}_swing")
    hip = root + 0.3 * creature.girth * trunk.down + 0.6 * side * creature.girth * trunk.across
    knee = hip + (creature.leg + 0.25 * creature.girth) * trunk.limb(side, lift, swing)
    bent = swing - column(poses, f"{limb}_bend_swing")
    direction = trunk.limb(side, lift + column(poses, f"{limb}_bend_raise"), bent)
    paw = knee + creature.leg * direction
    name, thick = limb.replace("_", "-"), creature.leg_radius
    thigh, shin = f"{name}-thigh", f"{name}-shin"
    assembly.part(thigh, hip, knee, (1.5 * thick, 0.95 * thick), creature.coat)
    sock = (Band(0.5, 1.3, mark),)
    assembly.part(
        shin, knee, paw, (0.9 * thick, 0.75 * thick), _plain(creature.coat.first), lift=0.001, bands=sock
    )
    # patch and paw lie on top of their own leg, however it points
    low = (knee + paw)[:, 2] / 2
    top = np.maximum(low, (hip + knee)[:, 2] / 2)
    assembly.spot(shin, knee, 0.6 * thick, _plain(mark), depth=top, lift=0.002, outline=0.004)
    toe = paw + 0.022 * trunk.forward + 0.008 * trunk.down
    assembly.part(shin, paw, toe, (0.85 * thick, 0.7 * thick), _plain(mark), depth=low, lift=0.0015)
    assembly.joint(f"{name}-knee", knee, thigh, shin)
    assembly.joint(f"{name}-paw", paw, shin)
