"""The set of scenes that a hold is trained on: a file for each clip, and for each group of stills.

A set's folder holds train/ and held_out/; a file that is there already is not made again.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from edgedrag.generator.data.videos import CLIPS, split_of
from edgedrag.generator.hold.clips import scenes_of_clip
from edgedrag.generator.hold.scenes import write_scenes
from edgedrag.runtime.errors import InputError

SPLIT_FILE = Path(__file__).with_name("split.tsv")
LEFT_OUT = "left_out"  # the camera moves and not a thing


def split_of_clip(clip: str) -> str:
    """The split of a clip by its file name: as `split.tsv` says, or the one that the generator's pairs have."""
    with SPLIT_FILE.open(newline="") as stream:
        split = {row["clip"]: row["split"] for row in csv.DictReader(stream, delimiter="\t")}
    return split.get(clip) or split_of(clip)


def clips_in(places: Sequence[Path]) -> Iterator[Path]:
    for place in places:
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        yield from (f for f in files if f.suffix.lower() in CLIPS)


def pack_clips(places: Sequence[Path], folder: Path, count: int) -> None:
    """Write up to `count` scenes of every clip below `places` to a set's folder.

    Raises:
        InputError: there are no clips, or one cannot be decoded.
    """
    clips = [c for c in clips_in(places) if split_of_clip(c.name) != LEFT_OUT]
    if not clips:
        raise InputError(f"{', '.join(map(str, places))}: no clips here ({', '.join(CLIPS)})")
    for clip in tqdm(clips, desc="clips", unit="clip"):
        file = place_of(folder, split_of_clip(clip.name), clip.stem)
        if not file.exists():
            write_scenes(file, scenes_of_clip(clip, count, seed_of(clip.name)))


def place_of(folder: Path, split: str, name: str) -> Path:
    """The file of a set for one clip or group, its folder made."""
    (folder / split).mkdir(parents=True, exist_ok=True)
    return folder / split / f"{name}.npz"


def seed_of(name: str) -> int:
    return zlib.crc32(name.encode())
