"""Jointed things built of boxes, capsules and spheres in pybullet: cabinets with drawers and a door, arms on hinges."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

REVOLUTE, PRISMATIC, FIXED = 0, 1, 4  # pybullet's numbers of joints
Bullet = Any  # the module pybullet, which says nothing of its types
Place = list[float]  # x, y, z in metres; x points at the looker


class Link(NamedTuple):
    """A link: `parent` is 0 for the base and n for the n-th link; `place` is in the parent, `axis` of the joint."""

    parent: int
    joint: int
    place: Place
    shape: int
    axis: Place


def box(bullet: Bullet, half: Place, middle: Place | None = None) -> int:
    return bullet.createVisualShape(bullet.GEOM_BOX, halfExtents=half, visualFramePosition=middle or [0.0, 0.0, 0.0])


def ball(bullet: Bullet, radius: float) -> int:
    return bullet.createVisualShape(bullet.GEOM_SPHERE, radius=radius)


def cabinet(bullet: Bullet, rng: np.random.Generator) -> int:
    """A box with one to four drawers and sometimes a door beside them, each with a knob; returns the body's number."""
    depth, width, height = (float(rng.uniform(*span)) for span in ((0.25, 0.5), (0.35, 0.8), (0.3, 0.8)))
    has_door, count = rng.random() < 0.5, int(rng.integers(1, 5))
    wide, high = width * (0.5 if has_door else 1.0), height / count
    links: list[Link] = []
    for row in range(count):
        drawer = box(bullet, [depth / 2, 0.47 * wide, 0.46 * high])
        place = [0.02 * depth, (wide - width) / 2, (row + 0.5) * high - height / 2]
        links.append(Link(0, PRISMATIC, place, drawer, [1, 0, 0]))
        links.append(Link(len(links), FIXED, [depth / 2, 0, 0], ball(bullet, 0.02), [1, 0, 0]))
    if has_door:
        door = box(bullet, [0.012, 0.24 * width, 0.48 * height], [0.0, -width / 4, 0.0])
        links.append(Link(0, REVOLUTE, [depth / 2 + 0.01, width / 2, 0], door, [0, 0, 1]))
        links.append(Link(len(links), FIXED, [0.02, -0.42 * width, 0], ball(bullet, 0.02), [1, 0, 0]))
    return assembled(bullet, box(bullet, [depth / 2, width / 2, height / 2]), links)


def arm(bullet: Bullet, rng: np.random.Generator) -> int:
    """A foot, two to four limbs on hinges and a head: a lamp, a crane, a toy; returns the body's number."""
    thick, height = float(rng.uniform(0.02, 0.06)), 0.03
    links: list[Link] = []
    for number in range(int(rng.integers(2, 5))):
        length = float(rng.uniform(0.2, 0.45))
        limb = bullet.createVisualShape(
            bullet.GEOM_CAPSULE, radius=thick, length=length, visualFramePosition=[0, 0, length / 2]
        )
        links.append(Link(number, REVOLUTE, [0, 0, height], limb, [0, 1, 0]))
        height = length
    head = ball(bullet, thick * float(rng.uniform(1.5, 3)))
    links.append(Link(len(links), REVOLUTE, [0, 0, height], head, [0, 1, 0]))
    return assembled(bullet, box(bullet, [*rng.uniform(0.08, 0.2, 2).tolist(), 0.03]), links)


def assembled(bullet: Bullet, base: int, links: list[Link]) -> int:
    """The body of a base and links; returns its number."""
    count = len(links)
    return bullet.createMultiBody(
        baseMass=0,
        baseVisualShapeIndex=base,
        linkMasses=[1] * count,
        linkCollisionShapeIndices=[-1] * count,
        linkVisualShapeIndices=[link.shape for link in links],
        linkPositions=[link.place for link in links],
        linkOrientations=[[0, 0, 0, 1]] * count,
        linkInertialFramePositions=[[0, 0, 0]] * count,
        linkInertialFrameOrientations=[[0, 0, 0, 1]] * count,
        linkParentIndices=[link.parent for link in links],
        linkJointTypes=[link.joint for link in links],
        linkJointAxis=[link.axis for link in links],
    )
