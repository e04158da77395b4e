"""Characters: everything about a puppet that does not move, its backdrop included."""

from __future__ import annotations

from dataclasses import dataclass

from benchbed.datasets.puppets.draws import Draws
from benchbed.datasets.puppets.palette import (
    Marks,
    distance,
    draw_background,
    draw_colour,
    draw_marks,
    draw_skin,
    draw_texture,
)
from benchbed.datasets.puppets.shapes import Background, Colour, Texture, mix


@dataclass(frozen=True)
class Proportions:
    """Lengths in shares of the frame's side, at size 1."""

    torso: float
    shoulder: float
    hip: float
    belly: float
    upper_arm: float
    forearm: float
    thigh: float
    shin: float
    arm_radius: float
    leg_radius: float
    head_width: float
    head_height: float


@dataclass(frozen=True)
class Outfit:
    """What the puppet wears.

    Args:
        shirt, sleeve, trousers, head: paint of the parts.
        sleeves, legs: share of forearm and shin that the clothes cover (0: bare).
        hair: `none`, `cap`, `bob`, `long`, `mohawk` or `bun`.
        hat: `none`, `top`, `brim`, `cone` or `beanie`.
        skirt, scarf, belt, glasses: worn or not.
    """

    shirt: Texture
    sleeve: Texture
    trousers: Texture
    skin: Colour
    hair_colour: Colour
    accent: Colour
    sleeves: float
    legs: float
    hair: str
    hat: str
    skirt: bool
    scarf: bool
    belt: bool
    glasses: bool


@dataclass(frozen=True)
class Character:
    """One identity."""

    proportions: Proportions
    outfit: Outfit
    marks: Marks
    background: Background


def draw_character(seed: str) -> Character:
    """The character of a seed text."""
    draws = Draws(seed)
    background = draw_background(draws)
    behind = (background.top, background.bottom)
    skin = draw_skin(draws, background)
    shirt = draw_colour(draws, (*behind, skin))
    trousers = draw_colour(draws, (*behind, skin, shirt), margin=0.38)
    accent = draw_colour(draws, (*behind, shirt), margin=0.38)
    hair = draw_colour(draws, (*behind, skin), margin=0.4)
    outfit = _draw_outfit(draws, skin, shirt, trousers, accent, hair)
    return Character(_draw_proportions(draws), outfit, draw_marks(draws, accent), background)


def _draw_proportions(draws: Draws) -> Proportions:
    build = draws.uniform(0.92, 1.08)
    head = draws.uniform(0.072, 0.092)
    return Proportions(
        torso=draws.uniform(0.215, 0.25) * build,
        shoulder=draws.uniform(0.078, 0.104),
        hip=draws.uniform(0.046, 0.062),
        belly=draws.uniform(0.036, 0.054),
        upper_arm=draws.uniform(0.118, 0.138) * build,
        forearm=draws.uniform(0.108, 0.128) * build,
        thigh=draws.uniform(0.135, 0.155) * build,
        shin=draws.uniform(0.130, 0.150) * build,
        arm_radius=draws.uniform(0.029, 0.038),
        leg_radius=draws.uniform(0.036, 0.048),
        head_width=head,
        head_height=head * draws.uniform(1.0, 1.2),
    )


def _draw_outfit(
    draws: Draws, skin: Colour, shirt: Colour, trousers: Colour, accent: Colour, hair: Colour
) -> Outfit:
    second = accent if distance(accent, shirt) > 0.3 else mix(shirt, (1.0, 1.0, 1.0), 0.6)
    torso = draw_texture(draws, shirt, second)
    sleeve = draws.choice(
        (torso, Texture("plain", shirt, shirt), Texture("rings", shirt, second, along=15.0))
    )
    tone = mix(trousers, draws.choice(((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), accent)), 0.55)
    return Outfit(
        shirt=torso,
        sleeve=sleeve,
        trousers=draw_texture(draws, trousers, tone, scale=0.9),
        skin=skin,
        hair_colour=hair,
        accent=accent,
        sleeves=draws.choice((0.0, 0.0, 0.7)),
        legs=draws.choice((0.0, 0.7, 0.7)),
        hair=draws.choice(("none", "cap", "bob", "long", "mohawk", "bun")),
        hat=draws.choice(("none", "none", "top", "brim", "cone", "beanie")),
        skirt=draws.chance(0.25),
        scarf=draws.chance(0.3),
        belt=draws.chance(0.5),
        glasses=draws.chance(0.3),
    )
