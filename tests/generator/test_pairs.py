"""Pairs from a clip whose motion is known."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgedrag.generator.batches import PairCache, augment, make_batch
from edgedrag.generator.pairs import SIZE, Rejected, make_pair, mine, sample_points
from edgedrag.generator.videos import SPLIT_FILE, read_frames, read_split, shot_of_each_frame
from edgedrag.runtime.errors import InputError


def texture(size: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    layers = [cv2.resize(rng.integers(0, 255, (n, n, 3)).astype(np.float32), (size, size)) for n in (12, 48)]
    return np.clip(sum(layers) / 2, 0, 255).astype(np.uint8)


def scene(x: int, y: int, ground: int = 0) -> np.ndarray:
    """A textured disc at (x, y) on a textured ground, 320 x 320 BGR."""
    frame = texture(320, ground)
    disc = np.zeros((320, 320), np.uint8)
    cv2.circle(disc, (x, y), 50, 1, -1)
    patch = np.roll(texture(320, 99), (y - 160, x - 160), (0, 1))
    return np.where(disc[..., None] > 0, patch, frame)


def test_pair_of_a_known_motion() -> None:
    pair = make_pair(scene(150, 160), scene(162, 156), np.random.default_rng(0))
    assert pair.source.shape == pair.target.shape == (SIZE, SIZE, 3)
    strong = pair.valid & (np.linalg.norm(pair.flow.astype(np.float32), axis=-1) > 4)
    assert 0.04 < strong.mean() < pair.mask.mean() < 0.5
    direction = np.median(pair.flow[strong].astype(np.float32), axis=0)
    assert direction[0] < -9 and 2.5 < direction[1] < 6
    points = sample_points(pair.flow.astype(np.float32), pair.valid, pair.mask, np.random.default_rng(1))
    assert 1 <= len(points) <= 20
    for hx, hy, tx, ty in points:
        assert pair.mask[round(hy), round(hx)]
        np.testing.assert_allclose([hx - tx, hy - ty], pair.flow[int(ty), int(tx)].astype(np.float32), atol=1e-3)


def test_frames_that_make_no_pair() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(Rejected):
        make_pair(scene(160, 160), scene(160, 160), rng)
    with pytest.raises(Rejected):
        make_pair(scene(160, 160), scene(170, 160, ground=5), rng)


def write_clip(path: Path, frames: list[np.ndarray]) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 25, (320, 320))
    for frame in frames:
        writer.write(frame)
    writer.release()


def test_cuts_are_found(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", [scene(140 + 2 * i, 160) for i in range(6)] + [255 - scene(150, 160)] * 5)
    shots = shot_of_each_frame(read_frames(tmp_path / "a.mp4"))
    assert shots.tolist() == [0] * 6 + [1] * 5


def test_mining_is_deterministic_resumes_and_names_what_fails(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", [scene(120 + 3 * i, 160) for i in range(24)])
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    clips = [tmp_path / "a.mp4", tmp_path / "broken.mp4"]
    report = mine(clips, tmp_path / "one", count=4, workers=1)
    assert report["a.mp4"]["pairs"] == 4 and report["a.mp4"]["split"] == "train"
    assert report["broken.mp4"]["rejects"] == {"undecodable": 1}
    mine(clips, tmp_path / "two", count=4, workers=1)
    one, two = (PairCache(tmp_path / n / "train") for n in ("one", "two"))
    assert one.digest == two.digest and len(one) == 4
    stamp = (tmp_path / "one" / "train" / "a.npz").stat().st_mtime_ns
    assert mine(clips, tmp_path / "one", count=4, workers=1) == json.loads(json.dumps(report))
    assert (tmp_path / "one" / "train" / "a.npz").stat().st_mtime_ns == stamp

    batch = make_batch(one, 128, 3, np.random.default_rng(0))
    assert batch.source.shape == (3, 3, 128, 128) and batch.points.shape == (3, 20, 4)
    assert float(batch.source.min()) >= -1 and float(batch.source.max()) <= 1


def test_augmented_flow_still_explains_the_target() -> None:
    """Cropped, scaled, mirrored or transposed: warping the source by the flow gives the target where it is valid."""
    pair = make_pair(scene(150, 160), scene(162, 156), np.random.default_rng(0))
    stored = {k: getattr(pair, k) for k in ("source", "target", "flow", "valid", "mask")}
    for seed in range(12):
        row = augment(stored, 128, np.random.default_rng(seed))
        if row is None:
            continue
        flow = row["flow"].astype(np.float32)
        y, x = np.mgrid[:128, :128].astype(np.float32)
        warped = [cv2.remap(c.astype(np.float32), x + flow[0], y + flow[1], cv2.INTER_LINEAR) for c in row["source"]]
        inside = (row["valid"] & row["mask"])[0]
        inside[:24] = inside[-24:] = inside[:, :24] = inside[:, -24:] = False
        moved = np.abs(np.stack(warped) - row["target"])[:, inside].mean()
        still = np.abs(row["source"] - row["target"])[:, inside].mean()
        assert moved < 0.6 * still


def test_the_committed_split_keeps_sources_apart() -> None:
    split = read_split()
    assert set(split.values()) == {"train", "held_out"}
    sources: dict[str, set[str]] = {}
    for line in SPLIT_FILE.read_text().splitlines()[1:]:
        _, part, source, licence = line.split("\t")
        assert licence
        sources.setdefault(source, set()).add(part)
    assert all(len(parts) == 1 for parts in sources.values())


def test_no_pairs_no_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="edgedrag pairs"):
        PairCache(tmp_path)
