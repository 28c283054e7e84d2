"""Scenes of jointed things drawn by pybullet's software renderer over photographs: parts to the pixel.

Things are built (`jointed`), or are models of pybullet's data that carry a free licence or are of plain shapes.
pybullet is needed here alone, where scenes are made.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from edgedrag.generator.hold.composites import LEAST_SEEN, point_inside, shadow
from edgedrag.generator.hold.jointed import FIXED, PRISMATIC, REVOLUTE, Bullet, arm, cabinet
from edgedrag.generator.hold.packing import place_of, seed_of
from edgedrag.generator.hold.scenes import (
    GROUP,
    HANDLES,
    OUTSIDE,
    PART,
    SHORT_SIDE,
    THING,
    UNKNOWN,
    Scene,
    write_scenes,
)
from edgedrag.generator.hold.stills import PER_FILE, PER_GROUND, Still, view_of
from edgedrag.runtime.errors import InputError

MODELS = ("franka_panda/panda.urdf", "humanoid/humanoid.urdf", "pendulum5.urdf")
CABINETS, ARMS = 0.35, 0.25  # shares of bodies; the others are of MODELS
APART = 0.9  # metres between two bodies
MOVED = 0.8  # share of joints that are not left as they are
FINER = 2  # times as large as the scene, and then reduced: soft edges
TEXTURES, TEXTURE_SIDE = 4, 128  # of a scene; pixels
TEXTURE_FILES = 40  # of a set
LINK_BITS = 24  # of a pixel's number in the segmentation: the body below, the link + 1 above


class Renderer:
    """Jointed things in random poses, colours, light and views.

    Args:
        textures: picture files, of which things are covered.

    Raises:
        InputError: pybullet is not installed.
    """

    def __init__(self, textures: list[Path]):
        try:
            self.bullet: Bullet = importlib.import_module("pybullet")
            self.data = Path(importlib.import_module("pybullet_data").getDataPath())
        except ImportError:
            raise InputError("rendered scenes need pybullet: pip install pybullet==3.2.7") from None
        self.bullet.connect(self.bullet.DIRECT)
        self.textures = textures

    def scene(self, ground: np.ndarray, rng: np.random.Generator) -> Scene | None:
        """A scene over a ground (uint8 RGB, SHORT_SIDE square); None where nothing of size is seen."""
        self.bullet.resetSimulation()
        files = [self.textures[i] for i in rng.integers(len(self.textures), size=TEXTURES)]
        textures = [self.bullet.loadTexture(str(file)) for file in files]
        bodies = [self.body(rng, APART * place) for place in range(int(rng.integers(1, 3)))]
        for body in bodies:
            self.pose(body, rng)
            self.paint(body, textures, rng)
        pixels, numbers = self.photograph(bodies, rng)
        size = (SHORT_SIDE, SHORT_SIDE)
        alpha = cv2.resize((numbers >= 0).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        drawn = cv2.resize(pixels.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        picture = ground.astype(np.float32) * (1 - shadow(alpha, rng)[..., None])
        picture += alpha[..., None] * (drawn - picture)
        numbers = cv2.resize(numbers, size, interpolation=cv2.INTER_NEAREST)
        return self.with_maps(np.clip(picture, 0, 255).astype(np.uint8), numbers, rng)

    def body(self, rng: np.random.Generator, aside: float) -> int:
        """Add a body, `aside` metres to the side; returns its number."""
        kind = rng.random()
        if kind < CABINETS:
            body = cabinet(self.bullet, rng)
        elif kind < CABINETS + ARMS:
            body = arm(self.bullet, rng)
        else:
            body = self.bullet.loadURDF(str(self.data / str(rng.choice(MODELS))), useFixedBase=True)
        turn = self.bullet.getQuaternionFromEuler([0, 0, float(rng.uniform(-0.7, 0.7))])
        stands = self.bullet.getBasePositionAndOrientation(body)
        self.bullet.resetBasePositionAndOrientation(body, *self.bullet.multiplyTransforms([0, aside, 0], turn, *stands))
        return body

    def pose(self, body: int, rng: np.random.Generator) -> None:
        """Move most joints to somewhere within their limits, or what serves as such where they have none."""
        for link in range(self.bullet.getNumJoints(body)):
            joint = self.bullet.getJointInfo(body, link)
            kind, low, high = joint[2], joint[8], joint[9]
            if not low < high < low + 6:
                low, high = (0.0, 0.3) if kind == PRISMATIC else (-1.2, 1.2)
            if kind in (REVOLUTE, PRISMATIC) and rng.random() < MOVED:
                self.bullet.resetJointState(body, link, float(rng.uniform(low, high)))

    def paint(self, body: int, textures: list[int], rng: np.random.Generator) -> None:
        """Give links colours and textures; most have the body's."""
        own = [*rng.uniform(0.1, 1.0, 3).tolist(), 1.0]
        shared = int(rng.choice(textures)) if rng.random() < 0.6 else -1
        for link in range(-1, self.bullet.getNumJoints(body)):
            colour = own if rng.random() < 0.7 else [*rng.uniform(0.05, 1.0, 3).tolist(), 1.0]
            texture = shared if rng.random() < 0.7 else -1
            self.bullet.changeVisualShape(body, link, rgbaColor=colour, textureUniqueId=texture)

    def photograph(self, bodies: list[int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Colours, uint8 [S, S, 3], and numbers, int32 [S, S], -1 for the ground; S is FINER * SHORT_SIDE."""
        links = [(body, link) for body in bodies for link in range(-1, self.bullet.getNumJoints(body))]
        corners = np.array([self.bullet.getAABB(*link) for link in links]).reshape(-1, 3)
        reach = float(np.linalg.norm(corners.max(0) - corners.min(0)) / 2)
        view = self.bullet.computeViewMatrixFromYawPitchRoll(
            ((corners.min(0) + corners.max(0)) / 2 + rng.normal(0, 0.2, 3) * reach).tolist(),
            distance=reach * float(rng.uniform(2.0, 4.0)),
            yaw=float(90 + rng.normal(0, 30)),
            pitch=float(rng.uniform(-50, 0)),
            roll=float(rng.normal(0, 6)),
            upAxisIndex=2,
        )
        side = FINER * SHORT_SIDE
        _, _, colours, _, numbers = self.bullet.getCameraImage(
            side,
            side,
            view,
            self.bullet.computeProjectionMatrixFOV(45, 1, 0.02, 50),
            lightDirection=[*rng.normal(0, 1, 2).tolist(), float(rng.uniform(0.4, 2))],
            shadow=int(rng.random() < 0.5),
            lightAmbientCoeff=float(rng.uniform(0.3, 0.7)),
            lightDiffuseCoeff=float(rng.uniform(0.3, 0.7)),
            flags=self.bullet.ER_SEGMENTATION_MASK_OBJECT_AND_LINKINDEX,
            renderer=self.bullet.ER_TINY_RENDERER,
        )
        shape = (side, side)
        return np.reshape(colours, (*shape, 4))[..., :3].astype(np.uint8), np.reshape(numbers, shape).astype(np.int32)

    def carried(self, body: int, link: int) -> set[int]:
        """A link, what is fixed to it, and what hangs on that: all that moves when it does."""
        joints = [self.bullet.getJointInfo(body, j) for j in range(self.bullet.getNumJoints(body))]
        kinds, parents = [j[2] for j in joints], [j[16] for j in joints]
        while link >= 0 and kinds[link] == FIXED:
            link = parents[link]
        held = {link}
        for number, parent in enumerate(parents):
            if parent in held:
                held.add(number)
        return held

    def with_maps(self, picture: np.ndarray, numbers: np.ndarray, rng: np.random.Generator) -> Scene | None:
        """The scene of a picture and its numbers, int32 [SHORT_SIDE, SHORT_SIDE]."""
        seen = [int(n) for n in np.unique(numbers) if n >= 0 and (numbers == n).mean() > LEAST_SEEN / 2]
        if not seen:
            return None
        owner = np.where(numbers >= 0, numbers & ((1 << LINK_BITS) - 1), -1)
        link_of = (numbers >> LINK_BITS) - 1
        _, groups = cv2.connectedComponents((numbers >= 0).astype(np.uint8))
        edge = cv2.morphologyEx((owner + 1).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)) > 0
        handles, maps = [], []
        for number in rng.permutation(np.resize(seen, max(HANDLES, len(seen))))[:HANDLES]:
            y, x = point_inside(numbers == number, rng)
            thing = owner == owner[y, x]
            marks = np.where(groups == groups[y, x], GROUP, OUTSIDE).astype(np.uint8)
            marks[thing] = THING
            marks[thing & np.isin(link_of, list(self.carried(int(owner[y, x]), int(link_of[y, x]))))] = PART
            marks[edge & (marks != PART)] = UNKNOWN
            handles.append((x, y))
            maps.append(marks)
        return Scene(picture, np.array(handles, np.float32), np.array(maps), True)


def pack_rendered(stills: list[Still], folder: Path, count: int) -> None:
    """Write about `count` rendered scenes, and a tenth as many held-out ones, to a set's folder.

    Raises:
        InputError: pybullet is not installed, or a still cannot be read.
    """
    for split, share in (("train", 1.0), ("held_out", 0.1)):
        grounds = [s for s in stills if s.split == split]
        files = textures_in(folder / "textures" / split, grounds)
        renderer = Renderer(files)
        for number in tqdm(range(-(-round(count * share) // PER_FILE)), desc=f"{split} rendered", unit="file"):
            file = place_of(folder, split, f"rendered_{number:03}")
            if file.exists():
                continue
            rng = np.random.default_rng((number, seed_of(f"rendered {split}")))
            scenes: list[Scene] = []
            while len(scenes) < min(PER_FILE, round(count * share)):
                ground = view_of(grounds, 0.5, SHORT_SIDE, rng)
                drawn = [renderer.scene(ground, rng) for _ in range(PER_GROUND)]
                scenes += [scene for scene in drawn if scene is not None]
            write_scenes(file, scenes[:PER_FILE])


def textures_in(folder: Path, stills: list[Still]) -> list[Path]:
    """Small pieces of stills as files, for pybullet to load; made where they are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number:02}.png" for number in range(TEXTURE_FILES)]
    rng = np.random.default_rng(0)
    for file in files:
        piece = view_of(stills, 0.15, TEXTURE_SIDE, rng)
        if not file.exists():
            cv2.imwrite(str(file), piece[..., ::-1])
    return files
