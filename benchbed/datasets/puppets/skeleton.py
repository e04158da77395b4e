"""A puppet character in a sequence of poses: bones, clothes, accessories and its 15 key points."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchbed.datasets.puppets.assembly import Assembly, Frame, upright
from benchbed.datasets.puppets.characters import Character
from benchbed.datasets.puppets.shapes import Band, Colour, Figure, Texture, mix
from benchbed.datasets.puppets.trajectory import column

REST = (0.5, 0.585)
SIDES = (("left", 1.0), ("right", -1.0))
WHITE, INK = (1.0, 1.0, 1.0), (0.06, 0.05, 0.10)
FOOT = 0.046
HAND = 0.026


def pose_puppet(character: Character, poses: np.ndarray) -> Figure:
    """The figure of a character in poses `(T, len(POSE))`."""
    origin = np.array(REST) + np.stack([column(poses, "x"), column(poses, "y")], axis=1)
    assembly = Assembly(origin, 1.0 + column(poses, "size"))
    pelvis = upright(column(poses, "tilt")).yawed(column(poses, "yaw"))
    torso = pelvis.rolled(column(poses, "roll")).pitched(column(poses, "pitch"))
    neck = -character.proportions.torso * torso.down
    _add_head(assembly, character, torso, neck, poses)
    _add_torso(assembly, character, torso, pelvis, neck, column(poses, "yaw"))
    for name, side in SIDES:
        _add_arm(assembly, character, torso, neck, name, side, poses)
    for name, side in SIDES:
        _add_leg(assembly, character, pelvis, name, side, poses)
    return assembly.figure()


def plain(colour: Colour) -> Texture:
    """Paint of one colour."""
    return Texture("plain", colour, colour)


def _spread(axis: np.ndarray) -> np.ndarray:
    """How much of a unit axis is seen from the front, `(T, 1)`."""
    return np.sqrt(axis[:, :1] ** 2 + axis[:, 1:2] ** 2)


def _add_torso(
    assembly: Assembly, character: Character, torso: Frame, pelvis: Frame, neck: np.ndarray, yaw: np.ndarray
) -> None:
    shape, outfit = character.proportions, character.outfit
    belly = shape.belly
    shoulders = np.maximum(shape.shoulder * _spread(torso.across) - 0.5 * belly, 0.0)
    hips = np.maximum(shape.hip * _spread(pelvis.across) - 0.3 * belly, 0.0)
    top, bottom = neck + 0.75 * belly * torso.down, -0.25 * belly * torso.down
    widths = np.concatenate([shoulders, hips], axis=1)
    assembly.part("torso", top, bottom, (belly, belly), outfit.shirt, width=widths, turn=yaw, thickness=0.07)
    assembly.part("neck", neck, neck - 0.035 * torso.down, (0.022, 0.022), plain(outfit.skin), lift=-0.004)
    seat = 0.012 * pelvis.down
    assembly.part(
        "hips",
        bottom,
        seat,
        (belly, belly),
        outfit.trousers,
        width=np.concatenate([hips, hips], 1),
        lift=-0.006,
    )
    if outfit.skirt:
        hem = np.concatenate([hips, hips + 0.035], axis=1)
        low = 0.5 * shape.thigh * pelvis.down
        assembly.part(
            "hips",
            bottom,
            low,
            (belly, 0.012),
            outfit.trousers,
            width=hem,
            turn=yaw,
            lift=-0.003,
            thickness=0.07,
        )
    if outfit.belt:
        waist = bottom - 0.012 * torso.down
        belt = np.concatenate([hips, hips], axis=1) + 0.8 * belly
        assembly.part(
            "torso",
            waist,
            waist + 0.004 * torso.down,
            (0.011, 0.011),
            plain(outfit.accent),
            width=belt,
            lift=0.001,
        )
    if outfit.scarf:
        throat = neck + 0.004 * torso.down
        wrap = 0.6 * shoulders
        assembly.part(
            "torso", throat, throat + 0.006 * torso.down, (0.02, 0.02), plain(outfit.accent),
            width=np.concatenate([wrap, wrap], axis=1), lift=0.004,
        )  # fmt: skip
        knot = throat + 0.03 * torso.across + 0.03 * torso.forward
        assembly.part(
            "scarf", knot, knot + 0.07 * torso.down, (0.012, 0.017), plain(outfit.accent), lift=0.001
        )
    assembly.joint("neck", neck, "torso", "neck", "head", "scarf")
    assembly.joint("pelvis", 0.0 * neck, "torso", "hips", "left-thigh", "right-thigh")


def _add_head(
    assembly: Assembly, character: Character, torso: Frame, neck: np.ndarray, poses: np.ndarray
) -> None:
    shape, outfit = character.proportions, character.outfit
    head = torso.yawed(column(poses, "head_yaw")).rolled(column(poses, "head_roll"))
    up, wide, tall = -head.down, shape.head_width, shape.head_height
    centre = neck + (0.018 + tall) * up
    reach = (tall - wide) * up
    depth = centre[:, 2] + 0.015
    turned = np.degrees(np.arctan2(head.forward[:, 0], np.maximum(head.forward[:, 2], 0.05)))
    skin = Texture("gradient", mix(outfit.skin, (0.6, 0.2, 0.1), 0.12), outfit.skin)
    assembly.part(
        "head",
        centre - reach,
        centre + reach,
        (0.93 * wide, wide),
        skin,
        depth=depth,
        turn=turned,
        thickness=0.2,
    )
    _add_face(assembly, character, head, centre, depth)
    _add_hair(assembly, character, head, centre, depth)
    _add_hat(assembly, character, head, centre, depth)
    assembly.joint("head-top", centre + 0.94 * tall * up, "head")


def _add_face(
    assembly: Assembly, character: Character, head: Frame, centre: np.ndarray, depth: np.ndarray
) -> None:
    shape, outfit = character.proportions, character.outfit
    wide, up = shape.head_width, -head.down
    eye_size = 0.27 * wide
    feature = partial(assembly.spot, "head", depth=depth, outline=0.0)
    for lift, side in ((0.0010, 0.46), (0.0012, -0.46)):
        outward = 0.89 * head.forward + side * head.across
        eye = centre + 0.05 * up * shape.head_height + 0.86 * wide * outward
        facing = outward[:, 2] > 0.25
        if outfit.glasses:
            feature(eye, 1.45 * eye_size, plain(outfit.accent), lift=lift - 0.0001, shown=facing)
        feature(eye, eye_size, plain(WHITE), lift=lift, shown=facing)
        feature(eye + 0.006 * head.forward, 0.58 * eye_size, plain(INK), lift=lift + 0.0001, shown=facing)
    nose = centre - 0.14 * up * shape.head_height + 0.98 * wide * head.forward
    blush = mix(outfit.skin, (0.75, 0.15, 0.1), 0.45)
    feature(nose, 0.013, plain(blush), lift=0.0015, shown=head.forward[:, 2] > -0.1)
    mouth = centre - 0.52 * up * shape.head_height + 0.85 * wide * head.forward
    grin = np.repeat(0.24 * wide * _spread(head.across), 2, axis=1)
    lips = plain(mix(blush, INK, 0.7))
    feature(mouth, 0.0085, lips, axis=head.down, width=grin, lift=0.0014, shown=head.forward[:, 2] > 0.1)


def _add_hair(
    assembly: Assembly, character: Character, head: Frame, centre: np.ndarray, depth: np.ndarray
) -> None:
    shape, outfit = character.proportions, character.outfit
    if outfit.hair == "none":
        return
    wide, tall, up = shape.head_width, shape.head_height, -head.down
    tone = outfit.hair_colour
    strands = Texture("stripes", tone, mix(tone, (0.0, 0.0, 0.0), 0.35), around=6.0)
    if outfit.hair == "mohawk":
        low, high = centre + 0.7 * tall * up, centre + 1.28 * tall * up - 0.2 * wide * head.forward
        assembly.part("head", low, high, (0.35 * wide, 0.22 * wide), strands, depth=depth, lift=0.002)
        return
    _add_dome(assembly, character, head, centre - 0.16 * wide * head.forward, depth + 0.002, strands)
    if outfit.hair == "bun":
        bun = centre + 0.85 * tall * up - 0.75 * wide * head.forward
        assembly.spot("head", bun, 0.42 * wide, strands, depth=depth, lift=-0.004)
    if outfit.hair in ("bob", "long"):
        fall = 0.75 if outfit.hair == "bob" else 1.9
        back = centre - 0.3 * wide * head.forward
        assembly.part(
            "hair", back + 0.3 * tall * up, back - fall * tall * up, (0.55 * wide, 0.45 * wide), strands,
            width=0.62 * wide, depth=depth, lift=-0.03,
        )  # fmt: skip


def _add_hat(
    assembly: Assembly, character: Character, head: Frame, centre: np.ndarray, depth: np.ndarray
) -> None:
    shape, outfit = character.proportions, character.outfit
    wide, tall, up = shape.head_width, shape.head_height, -head.down
    felt, ribbon = plain(outfit.accent), Band(0.0, 0.3, mix(outfit.accent, (1.0, 1.0, 1.0), 0.7))
    base = centre + 0.68 * tall * up
    if outfit.hat in ("top", "brim"):
        assembly.spot("head", base, 0.012, felt, axis=head.down, width=1.15 * wide, depth=depth, lift=0.003)
        height = 1.0 if outfit.hat == "top" else 0.5
        assembly.part(
            "head", base, base + height * wide * up, (0.012, 0.016), felt, width=0.62 * wide, bands=(ribbon,),
            depth=depth, lift=0.0035,
        )  # fmt: skip
    if outfit.hat == "cone":
        widths = np.broadcast_to([0.8 * wide, 0.0], (len(depth), 2))
        rings = Texture("rings", outfit.accent, ribbon.colour, along=30.0)
        assembly.part(
            "head", base, base + 1.4 * wide * up, (0.012, 0.010), rings, width=widths, depth=depth, lift=0.003
        )
    if outfit.hat == "beanie":
        knit = Texture("stripes", outfit.accent, ribbon.colour, around=7.0)
        _add_dome(assembly, character, head, centre + 0.08 * tall * up, depth + 0.003, knit)
        brim = np.repeat(0.82 * wide * _spread(head.across), 2, axis=1)
        fold = centre + 0.46 * tall * up
        assembly.spot("head", fold, 0.018, felt, axis=head.down, width=brim, depth=depth, lift=0.0032)
        assembly.spot("head", centre + 1.25 * tall * up, 0.02, plain(ribbon.colour), depth=depth, lift=0.0035)


def _add_dome(
    assembly: Assembly,
    character: Character,
    head: Frame,
    centre: np.ndarray,
    depth: np.ndarray,
    texture: Texture,
) -> None:
    """A rounded cover of the top half of the head: hair or a cap."""
    wide, tall, up = character.proportions.head_width, character.proportions.head_height, -head.down
    low, high = centre + 0.5 * tall * up, centre + 0.72 * tall * up
    widths = np.broadcast_to([0.74 * wide, 0.34 * wide], (len(depth), 2))
    radius = (0.24 * wide, 0.42 * wide)
    assembly.part("head", low, high, radius, texture, width=widths, depth=depth)


def _add_arm(
    assembly: Assembly,
    character: Character,
    torso: Frame,
    neck: np.ndarray,
    name: str,
    side: float,
    poses: np.ndarray,
) -> None:
    shape, outfit = character.proportions, character.outfit
    mark = character.marks.left if side > 0 else character.marks.right
    lift, swing = column(poses, f"{name}_front_raise"), column(poses, f"{name}_front_swing")
    shoulder = neck + 0.026 * torso.down + side * shape.shoulder * torso.across
    elbow = shoulder + shape.upper_arm * torso.limb(side, lift, swing)
    bent_lift = lift + column(poses, f"{name}_front_bend_raise")
    bent_swing = swing + column(poses, f"{name}_front_bend_swing")
    direction = torso.limb(side, bent_lift, bent_swing)
    wrist = elbow + shape.forearm * direction
    thick = shape.arm_radius
    upper, forearm, hand = f"{name}-upper-arm", f"{name}-forearm", f"{name}-hand"
    assembly.part(upper, shoulder, elbow, (1.08 * thick, 0.92 * thick), outfit.sleeve, lift=0.012)
    lower = outfit.sleeve if outfit.sleeves else plain(outfit.skin)
    cuff = (Band(0.76, 1.2, outfit.accent),)
    assembly.part(forearm, elbow, wrist, (0.92 * thick, 0.8 * thick), lower, lift=0.02, bands=cuff)
    # patch and hand lie on top of their own limb, however it points
    low, high = (elbow + wrist)[:, 2] / 2 + 0.02, (shoulder + elbow)[:, 2] / 2 + 0.012
    top = np.maximum(low, high)
    assembly.spot(forearm, elbow, 0.62 * thick, plain(mark), depth=top, lift=0.0005, outline=0.004)
    palm = wrist + HAND * direction
    assembly.part(
        hand, wrist + 0.008 * direction, palm, (0.8 * thick, 0.98 * thick), plain(mark), depth=low, lift=0.001
    )
    assembly.joint(f"{name}-shoulder", shoulder, "torso", "scarf", upper)
    assembly.joint(f"{name}-elbow", elbow, upper, forearm)
    assembly.joint(f"{name}-wrist", wrist, forearm, hand)


def _add_leg(
    assembly: Assembly, character: Character, pelvis: Frame, name: str, side: float, poses: np.ndarray
) -> None:
    shape, outfit = character.proportions, character.outfit
    mark = character.marks.left if side > 0 else character.marks.right
    lift, swing = column(poses, f"{name}_back_raise"), column(poses, f"{name}_back_swing")
    hip = 0.014 * pelvis.down + side * shape.hip * pelvis.across
    knee = hip + shape.thigh * pelvis.limb(side, lift, swing)
    bent_lift = lift + column(poses, f"{name}_back_bend_raise")
    direction = pelvis.limb(side, bent_lift, swing + column(poses, f"{name}_back_bend_swing"))
    ankle = knee + shape.shin * direction
    thick = shape.leg_radius
    thigh, shin, foot = f"{name}-thigh", f"{name}-shin", f"{name}-foot"
    assembly.part(thigh, hip, knee, (1.1 * thick, 0.88 * thick), outfit.trousers, lift=-0.02)
    lower = outfit.trousers if outfit.legs else plain(outfit.skin)
    cuff = (Band(0.78, 1.2, outfit.accent),)
    assembly.part(shin, knee, ankle, (0.86 * thick, 0.7 * thick), lower, lift=-0.018, bands=cuff)
    low, high = (knee + ankle)[:, 2] / 2 - 0.018, (hip + knee)[:, 2] / 2 - 0.02
    top = np.maximum(low, high)
    assembly.spot(shin, knee, 0.6 * thick, plain(mark), depth=top, lift=0.0005, outline=0.004)
    toe = ankle + FOOT * (0.85 * pelvis.forward + 0.3 * direction + 0.25 * side * pelvis.across)
    heel = ankle + 0.012 * direction
    assembly.part(foot, heel, toe, (0.72 * thick, 0.62 * thick), plain(mark), depth=low, lift=0.001)
    assembly.joint(f"{name}-hip", hip, "torso", "hips", thigh)
    assembly.joint(f"{name}-knee", knee, thigh, shin)
    assembly.joint(f"{name}-ankle", ankle, shin, foot)
