"""The stills of a set of scenes: which there are, what is salient in them, and the cut-outs and grounds they give."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from edgedrag.generator.hold.composites import (
    CutOut,
    cut_out,
    read_cut_out,
    scene_of_cut_outs,
    scene_of_still,
    square_view,
)
from edgedrag.generator.hold.packing import place_of, seed_of
from edgedrag.generator.hold.saliency import SaliencyNetwork, SalientThing, salient_things
from edgedrag.generator.hold.scenes import SHORT_SIDE, Scene, write_scenes
from edgedrag.runtime.errors import InputError

MOST_OF_A_SOURCE = 12  # stills of one source whose things are looked for: long rows of them are alike
PER_FILE = 100  # composites or rendered scenes
PER_GROUND = 4  # of them: a still costs more to read than to cover
VIEWS = 3  # of a still with things
HELD_OUT_EVERY = 8  # source of stills, and cut-out
NOT_FOR_THINGS = "landscape"


@dataclass(frozen=True)
class Still:
    """A photograph below a folder with a manifest."""

    file: Path
    source: str
    category: str

    @property
    def split(self) -> str:
        """All stills of a source are on one side."""
        return "held_out" if seed_of(self.source) % HELD_OUT_EVERY == 0 else "train"

    def read(self) -> np.ndarray:
        """uint8 RGB.

        Raises:
            InputError: it cannot be read.
        """
        picture = cv2.imread(str(self.file), cv2.IMREAD_COLOR)
        if picture is None:
            raise InputError(f"{self.file}: cannot be read as a picture")
        return np.ascontiguousarray(picture[..., ::-1])


def stills_in(folder: Path) -> list[Still]:
    """The stills that a folder's manifest.tsv names.

    Raises:
        InputError: there is no manifest.
    """
    try:
        with (folder / "manifest.tsv").open(newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        return [Still(folder / row["file"], row["source"], row["category"]) for row in rows]
    except (OSError, KeyError) as error:
        raise InputError(f"{folder}: no manifest.tsv with file, source and category ({error})") from None


def view_of(stills: list[Still], least: float, side: int, rng: np.random.Generator) -> np.ndarray:
    """A random square of a random still, at least `least` of its shorter side, uint8 RGB [side, side, 3]."""
    picture = stills[rng.integers(len(stills))].read()
    return cv2.resize(picture[square_view(picture, least, rng)], (side, side), interpolation=cv2.INTER_AREA)


def spread(stills: list[Still]) -> list[Still]:
    """Up to MOST_OF_A_SOURCE of each source that show things, one of each source after another."""
    of_source: dict[str, list[Still]] = {}
    for still in sorted(stills, key=lambda s: seed_of(s.file.name)):
        if still.category != NOT_FOR_THINGS:
            of_source.setdefault(still.source, []).append(still)
    return [group[i] for i in range(MOST_OF_A_SOURCE) for group in of_source.values() if i < len(group)]


def things_of(still: Still, picture: np.ndarray, labels: Path, network: SaliencyNetwork | None) -> list[SalientThing]:
    """A still's salient things; what the network says of it is stored in the folder `labels`."""
    file = labels / f"{still.file.name}.png"
    if not file.exists():
        if network is None:
            return []
        labels.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), np.rint(network(picture) * 255).astype(np.uint8))
    saliency = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    if saliency is None:
        raise InputError(f"{file}: cannot be read; take it away, and it is made again")
    return salient_things(saliency.astype(np.float32) / 255)


def pack_stills(
    stills: list[Still], cut_outs: list[Path], labels: Path, network: SaliencyNetwork | None, folder: Path, count: int
) -> None:
    """Write scenes of stills with salient things, and `count` composites, to a set's folder."""
    things: dict[str, list[CutOut]] = {"train": [], "held_out": []}
    scenes: dict[str, list[Scene]] = {"train": [], "held_out": []}
    for still in tqdm(spread(stills), desc="stills", unit="still"):
        picture = still.read()
        found = things_of(still, picture, labels, network)
        things[still.split] += [cut_out(picture, thing) for thing in found]
        rng = np.random.default_rng(seed_of(still.file.name))
        views = [scene_of_still(picture, found, rng) for _ in range(VIEWS if found else 0)]
        scenes[still.split] += [view for view in views if view is not None]
    for number, file in enumerate(cut_outs):
        things["train" if number % HELD_OUT_EVERY else "held_out"].append(read_cut_out(file))
    for split, share in (("train", 1.0), ("held_out", 0.1)):
        write_scenes(place_of(folder, split, "stills"), scenes[split])
        grounds = [s for s in stills if s.split == split]
        pack_composites(things[split], grounds, folder, split, round(count * share))


def pack_composites(things: list[CutOut], grounds: list[Still], folder: Path, split: str, count: int) -> None:
    """Write `count` composites of things over grounds to a set's folder, PER_FILE to a file."""
    if not things or not grounds:
        raise InputError(f"{folder}: no cut-outs or no grounds for {split} composites")
    for number in tqdm(range(-(-count // PER_FILE)), desc=f"{split} composites", unit="file"):
        file = place_of(folder, split, f"composites_{number:03}")
        if file.exists():
            continue
        rng = np.random.default_rng((number, seed_of(split)))
        scenes: list[Scene] = []
        while len(scenes) < min(PER_FILE, count):
            ground = view_of(grounds, 0.5, SHORT_SIDE, rng)
            for _ in range(PER_GROUND):
                scene = scene_of_cut_outs(things, ground, rng)
                if scene is not None:
                    scenes.append(scene)
        write_scenes(file, scenes[:PER_FILE])
