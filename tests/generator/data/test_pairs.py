"""Pairs from a clip whose motion is known."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edgedrag.generator.data.batches import PairCache, augment, make_batch
from edgedrag.generator.data.mining import MiningSettings, describe, mine, video_pairs
from edgedrag.generator.data.pairs import SIZE, Rejected, make_pair, sample_points
from edgedrag.generator.data.synthetic_motion import KINDS, affine_flow, make_motion, silhouette
from edgedrag.generator.data.videos import SPLIT_FILE, read_frames, read_split, read_views, shot_of_each_frame
from edgedrag.runtime.drag.flow import warp
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
    write_clip(tmp_path / "still.mp4", [scene(160, 160)] * 12)
    write_clip(tmp_path / "cuts.mp4", [texture(320, i) for i in range(12)])
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    report = mine([tmp_path], tmp_path / "one", MiningSettings(4, 8), workers=1)
    clips = {name.split("/")[1]: entry for name, entry in report["clips"].items()}
    assert clips["a.mp4"]["pairs"].pop("video") == 4 and set(clips["a.mp4"]["pairs"]) <= set(KINDS)
    assert {n: e["skipped"] for n, e in clips.items() if "skipped" in e} == {
        "broken.mp4": "cannot be decoded",
        "cuts.mp4": "all cuts",
        "still.mp4": "no motion to learn from",
    }
    assert "skipped: train/broken.mp4: cannot be decoded" in describe(report)
    assert (tmp_path / "one" / "sheet.png").stat().st_size > 10_000
    mine([tmp_path / "a.mp4"], tmp_path / "two", MiningSettings(4, 8), workers=2)
    one, two = (PairCache(tmp_path / n / "train") for n in ("one", "two"))
    assert one.digest == two.digest and one.names == ["a.mp4"]
    stamp = (tmp_path / "one" / "train" / "a.mp4.npz").stat().st_mtime_ns
    again = mine([tmp_path], tmp_path / "one", MiningSettings(4, 8), workers=1)
    assert json.dumps(again) == json.dumps(json.loads((tmp_path / "one" / "report.json").read_text()))
    assert (tmp_path / "one" / "train" / "a.mp4.npz").stat().st_mtime_ns == stamp
    with pytest.raises(InputError, match="other settings"):
        mine([tmp_path], tmp_path / "one", MiningSettings(5, 8), workers=1)

    batch = make_batch(one, 128, 3, np.random.default_rng(0), back=True)
    assert batch.source.shape == (3, 3, 128, 128) and batch.points.shape == (3, 20, 4)
    assert float(batch.source.min()) >= -1 and float(batch.source.max()) <= 1
    back = batch.reversed()
    assert torch.equal(back.source, batch.target) and torch.equal(back.points[..., :2], batch.points[..., 2:])


def test_slow_and_fast_clips_both_serve() -> None:
    """The gap between the frames of a pair grows where little moves and shrinks where much does."""
    for speed in (0.4, 9.0):
        frames = [scene(round(60 + speed * i % 200), 160) for i in range(40)]
        pairs, _ = video_pairs(frames, np.zeros(40, int), 4, np.random.default_rng(0))
        assert len(pairs) == 4
        for pair in pairs:
            assert 4 <= np.percentile(np.linalg.norm(pair.flow.astype(np.float32), axis=-1)[pair.mask], 95) <= 48


def test_a_clip_split_by_time_gives_both_parts(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", [scene(100 + 2 * i, 160) for i in range(60)])
    report = mine([tmp_path / "a.mp4"], tmp_path / "cache", MiningSettings(3, 0, by_time=True), workers=1)
    assert {n: (e["frames"], e["pairs"]) for n, e in report["clips"].items()} == {
        "train/a.mp4": (45, {"video": 3}),
        "held_out/a.mp4": (12, {"video": 3}),
    }


def test_a_picture_gives_synthetic_motion_at_every_zoom(tmp_path: Path) -> None:
    """Beside clips, from views of many sizes, the same in every run; one that is damaged is named and skipped."""
    wide = cv2.resize(texture(320, 1), (1200, 640), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(tmp_path / "ground.png"), wide)
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    cv2.imwrite(str(tmp_path / "tiny.png"), wide[:9, :5])
    report = mine([tmp_path], tmp_path / "one", MiningSettings(4, 8, by_time=True), workers=1)
    assert set(report["clips"]) == {"train/ground.png", "train/broken.jpg", "train/tiny.png"}
    assert report["clips"]["train/broken.jpg"]["skipped"] == "cannot be decoded"
    assert set(report["clips"]["train/ground.png"]["pairs"]) <= set(KINDS)
    mine([tmp_path / "ground.png"], tmp_path / "two", MiningSettings(4, 8, by_time=True), workers=1)
    with np.load(tmp_path / "one/train/ground.png.npz") as one, np.load(tmp_path / "two/train/ground.png.npz") as two:
        assert all(np.array_equal(one[name], two[name]) for name in one.files)
    views = read_views(tmp_path / "ground.png", np.random.default_rng(0))
    assert {view.shape for view in views} == {(320, 320, 3)}
    finest = [float(np.abs(np.diff(view.astype(float), axis=1)).mean()) for view in views]
    assert max(finest) > 1.5 * min(finest)  # near views are smoother than the whole


def test_no_clips(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        mine([tmp_path / "nowhere"], tmp_path / "cache")
    with pytest.raises(InputError, match="no clips or pictures"):
        mine([tmp_path], tmp_path / "cache")
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(InputError, match=r"no clip gave a pair .*broken\.mp4: cannot be decoded"):
        mine([tmp_path], tmp_path / "cache", workers=1)


def moved_disc() -> dict[str, np.ndarray]:
    """A textured disc that moved by 12 pixels: `flow` and `valid` as seen in the target, with the ground it left."""
    y, x = np.mgrid[:SIZE, :SIZE]
    disc = np.hypot(x - 120, y - 100) < 40
    left = np.hypot(x - 108, y - 100) < 40
    flow = np.where(disc[..., None], np.float16([-12, 0]), np.float16(0))
    return {"disc": disc, "flow": flow, "valid": disc | ~left}


def test_what_moved_in_a_clip_is_cut_out_by_its_silhouette() -> None:
    moved = moved_disc()
    shape = silhouette(moved["flow"], moved["valid"])
    assert shape is not None
    assert (shape & moved["disc"]).sum() > 0.98 * (shape | moved["disc"]).sum()
    assert silhouette(np.zeros_like(moved["flow"]), moved["valid"]) is None, "nothing moves"
    assert silhouette(np.full_like(moved["flow"], 9), np.ones_like(moved["valid"])) is None, "all moves"


@pytest.mark.parametrize("shape", [None, moved_disc()["disc"]], ids=["blob", "silhouette"])
@pytest.mark.parametrize("kind", KINDS)
def test_synthetic_motion_is_what_its_flow_says(kind: str, shape: np.ndarray | None) -> None:
    """Warping the source by the flow gives the target where it is valid; nothing changes outside the mask."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        pair = make_motion(texture(SIZE, 1), texture(SIZE, 2), shape, kind, rng)
        change = np.abs(pair["source"].astype(int) - pair["target"])[~pair["mask"]]
        assert change.mean() < 0.05, "only the tails of soft edges lie outside the mask"
        edge = cv2.dilate(pair["mask"].astype(np.uint8), np.ones((3, 3))) > 0
        silhouette = cv2.morphologyEx(
            (np.abs(pair["flow"]).max(-1) > 0).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((9, 9))
        )
        sure = edge & pair["valid"] & (silhouette == 0)
        warped = warp(pair["source"], pair["flow"].astype(np.float32))
        assert np.abs(warped[sure].astype(float) - pair["target"][sure]).mean() < 3


def test_turns_and_resizes_are_as_drawn() -> None:
    """A quarter turn clockwise shows at the right what was at the top; twice as large, what was half as far."""
    centre = np.array([50.0, 50.0])
    turned = affine_flow(101, centre, np.pi / 2, 1.0, np.zeros(2))
    np.testing.assert_allclose(turned[50, 70] + [70, 50], [50, 30], atol=1e-4)
    grown = affine_flow(101, centre, 0.0, 2.0, np.zeros(2))
    np.testing.assert_allclose(grown[50, 70] + [70, 50], [60, 50], atol=1e-4)


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
    with pytest.raises(InputError, match="edgedrag learn pairs"):
        PairCache(tmp_path)
