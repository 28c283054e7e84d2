"""The hold: maps from motion and from cut-outs, the network and its losses, a run that resumes, pulls judged."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edgedrag.generator.data.pairs import Rejected
from edgedrag.generator.hold.backbone import Convolution, fold
from edgedrag.generator.hold.batches import SceneSet, batches, row_of
from edgedrag.generator.hold.checkpoint import load_hold
from edgedrag.generator.hold.clips import scene_of_pair
from edgedrag.generator.hold.composites import CutOut, scene_of_cut_outs
from edgedrag.generator.hold.measure import answers, connected, overlap
from edgedrag.generator.hold.network import Hold
from edgedrag.generator.hold.objective import hold_losses, truths
from edgedrag.generator.hold.packing import split_of_clip
from edgedrag.generator.hold.pulls import grabcut_hold, judge
from edgedrag.generator.hold.saliency import salient_things
from edgedrag.generator.hold.scenes import (
    GROUP,
    OUTSIDE,
    PART,
    SHORT_SIDE,
    THING,
    UNKNOWN,
    Scene,
    read_scenes,
    write_scenes,
)
from edgedrag.generator.hold.segments import scenes_of_segments, segment_of
from edgedrag.generator.hold.training import HoldConfig, train_hold
from edgedrag.runtime.errors import InputError

pytestmark = pytest.mark.usefixtures("one_thread")


def texture(side: int, seed: int, high: int = 255) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, high, (side // 6, side // 6, 3), dtype=np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def disc_scene(seed: int) -> Scene:
    """A bright disc on dark texture, 64 pixels wide, with two points on it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64]
    centre = rng.uniform(24, 40, 2)
    thing = np.hypot(x - centre[0], y - centre[1]) < 14
    picture = texture(64, seed, 90)
    picture[thing] = (230, 180, 60)
    marks = np.where(thing, THING, OUTSIDE).astype(np.uint8)
    return Scene(picture, np.float32([centre, centre + 5]), np.stack([marks, marks]), False)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    for split, seeds in (("train", range(6)), ("held_out", range(6, 8))):
        (tmp_path / "set" / split).mkdir(parents=True)
        write_scenes(tmp_path / "set" / split / "composites_000.npz", [disc_scene(s) for s in seeds])
    return tmp_path / "set"


def config(scenes: Path, steps: int, **others: object) -> HoldConfig:
    settings = {"warmup": 1, "size": 64, "rows": 2, "points": 2, "frozen": 5, "shares": {"composites": 1.0}}
    every = {"log_every": 1, "save_every": 1, "validate_every": 4}
    return HoldConfig(scenes=str(scenes), steps=steps, **{**settings, **every, **others})


def test_what_moves_alike_is_the_part_and_what_moves_beside_it_the_thing() -> None:
    """Two textured halves that touch and turn different ways: the point's own half is the part."""
    frame, other = (cv2.GaussianBlur(texture(208, 1), (0, 0), 1.0) for _ in range(2))
    left, right = texture(208, 2)[:70, :40], texture(208, 3)[:70, :40]
    frame[60:130, 60:100], frame[60:130, 100:140] = left, right
    other[66:136, 60:100], other[54:124, 100:140] = left, right
    scene = scene_of_pair(frame, other, np.random.default_rng(0))
    assert scene.picture.shape == (SHORT_SIDE, SHORT_SIDE, 3) and scene.parts_known
    scale = SHORT_SIDE / 208
    for (x, y), marks in zip(scene.handles, scene.maps):
        assert marks[round(y), round(x)] == PART
        own = np.s_[round(72 * scale) : round(112 * scale), round(66 * scale) : round(92 * scale)]
        beside = np.s_[round(72 * scale) : round(112 * scale), round(108 * scale) : round(132 * scale)]
        if x > 100 * scale:
            own, beside = beside, own
        assert (marks[own] == PART).mean() > 0.7
        assert (marks[beside] == PART).mean() < 0.1
        assert (marks[: round(30 * scale)] >= GROUP)[marks[: round(30 * scale)] != UNKNOWN].mean() < 0.05


def test_frames_in_which_nothing_moves_give_no_scene() -> None:
    frame = texture(208, 1)
    with pytest.raises(Rejected):
        scene_of_pair(frame, frame.copy(), np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(6))
def test_a_cut_out_is_held_to_its_outline(seed: int) -> None:
    """White shapes on a dark ground: every pixel is held exactly where it is white."""
    alpha = np.zeros((80, 80), np.float32)
    cv2.circle(alpha, (40, 40), 30, 1.0, -1)
    white = CutOut(np.full((80, 80, 3), 255, np.uint8), alpha)
    ground = np.full((SHORT_SIDE, SHORT_SIDE, 3), 20, np.uint8)
    scene = scene_of_cut_outs([white], ground, np.random.default_rng(seed))
    assert scene is not None and not scene.parts_known
    bright = scene.picture.astype(int).mean(-1) > 128
    held = np.any(scene.maps >= GROUP, 0) & np.all(scene.maps != UNKNOWN, 0)
    assert overlap(np.isin(scene.maps, (GROUP, THING, PART)).any(0), bright) > 0.85 or held.sum() < bright.sum()
    for (x, y), marks in zip(scene.handles.astype(int), scene.maps):
        assert marks[y, x] == PART
        assert bright[marks >= THING].mean() > 0.9


def test_segments_nest_and_the_ground_is_none() -> None:
    """The largest mask that may be a thing is the thing, the smallest its part; not the ground, nor an unsure mask."""
    y, x = np.mgrid[:120, :160]
    near, far = np.hypot(x - 60, y - 50), np.maximum(abs(x - 60) - 10, abs(y - 50))
    logits = np.stack([10 - near, 30.0 - far, np.full(x.shape, 9.0), 20 - near]).astype(np.float32)
    found = segment_of(np.array([60.0, 50.0]), logits, np.array([0.95, 0.95, 0.99, 0.3]))
    assert found is not None and found.part_known
    assert found.marks[50, 60] == PART and found.marks[50, 85] == THING and found.marks[100, 140] == OUTSIDE
    assert found.marks[50, 70] == UNKNOWN
    assert segment_of(np.array([60.0, 50.0]), logits, np.array([0.5, 0.5, 0.99, 0.3])) is None
    scenes = scenes_of_segments(np.zeros((120, 160, 3), np.uint8), [found])
    assert len(scenes) == 3 and all(s.picture.shape == (SHORT_SIDE, SHORT_SIDE, 3) for s in scenes)
    assert all(m[int(h[1]), int(h[0])] == PART for s in scenes for h, m in zip(s.handles, s.maps))


def test_saliency_that_is_not_sure_gives_no_thing() -> None:
    sure, unsure = np.zeros((2, 60, 60), np.float32)
    sure[20:40, 20:40] = 1.0
    unsure[20:40, 20:40] = 0.4
    (thing,) = salient_things(sure)
    assert np.array_equal(thing.inside, sure > 0.5) and np.array_equal(thing.around, sure < 0.5)
    assert salient_things(unsure) == [] and salient_things(np.ones((60, 60), np.float32)) == []


def test_scenes_are_read_as_written_and_other_files_are_refused(tmp_path: Path) -> None:
    scene = disc_scene(0)
    write_scenes(tmp_path / "a.npz", [scene, scene])
    first, second = read_scenes(tmp_path / "a.npz")
    assert np.array_equal(first.maps, scene.maps) and np.array_equal(second.handles, scene.handles)
    assert np.abs(first.picture.astype(int) - scene.picture).mean() < 8
    write_scenes(tmp_path / "none.npz", [])
    assert read_scenes(tmp_path / "none.npz") == []
    (tmp_path / "b.npz").write_bytes(b"no archive")
    np.savez(tmp_path / "c.npz", maps=scene.maps)
    for name in ("b.npz", "c.npz", "missing.npz"):
        with pytest.raises(InputError, match=name):
            read_scenes(tmp_path / name)


@pytest.mark.parametrize("seed", range(8))
def test_a_view_takes_points_and_maps_along(seed: int) -> None:
    """However a scene is turned and cropped, its points lie on the disc, in the picture and in the maps."""
    rng = np.random.default_rng(seed)
    picture, points, maps, _ = row_of(disc_scene(seed), 64, 2, rng)
    assert picture.shape == (64, 64, 3) and maps.shape == (2, 32, 32)
    for (x, y), marks in zip(points, maps):
        assert marks[round((y - 0.5) / 2), round((x - 0.5) / 2)] == THING
    small = cv2.resize(picture, (32, 32), interpolation=cv2.INTER_AREA).astype(float).mean(-1)
    inside, outside = small[maps[0] == THING].mean(), small[maps[0] == OUTSIDE].mean()
    assert inside > outside + 40


def test_answers_are_nested_and_what_is_unknown_teaches_nothing() -> None:
    maps = torch.tensor([[[OUTSIDE, GROUP], [THING, PART]], [[OUTSIDE, UNKNOWN], [THING, PART]]], dtype=torch.uint8)
    true, known = truths(maps, torch.tensor([True, False]))
    assert true[0].tolist() == [[[0, 0], [0, 1]], [[0, 0], [1, 1]], [[0, 1], [1, 1]]]
    assert known[0].min() == 1 and known[1].tolist() == [[[1, 0], [0, 1]], [[1, 0], [1, 1]], [[1, 0], [1, 1]]]
    logits = torch.zeros(2, 3, 2, 2, requires_grad=True)
    sum(hold_losses(logits, maps, torch.tensor([True, False])).values()).backward()
    assert logits.grad is not None and torch.equal(logits.grad != 0, known > 0)
    right = hold_losses((2 * true - 1) * 30, maps, torch.tensor([True, False]))
    assert float(right["entropy"]) < 1e-6 and float(right["overlap"]) < 1e-6


def test_normalisation_folds_into_the_convolution() -> None:
    torch.manual_seed(0)
    published = {
        "c.weight": torch.randn(6, 4, 3, 3),
        **{f"n.{k}": torch.rand(6) + 0.5 for k in ("weight", "bias", "running_mean", "running_var")},
    }
    folded = Convolution(4, 6, 3)
    fold(folded, published, "c", "n")
    x = torch.randn(1, 4, 8, 8)
    plain = torch.nn.functional.conv2d(x, published["c.weight"], padding=1)
    statistics = published["n.running_mean"], published["n.running_var"], published["n.weight"], published["n.bias"]
    torch.testing.assert_close(folded(x), torch.nn.functional.batch_norm(plain, *statistics, eps=1e-3))


def test_points_of_one_picture_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    model, picture = Hold().eval(), torch.rand(1, 3, 64, 96) * 2 - 1
    points = torch.tensor([[10.0, 20.0], [70.0, 40.0]])
    with torch.no_grad():
        together = model(picture, points, torch.zeros(2, dtype=torch.int64))
        alone = model(picture, points[1:], torch.zeros(1, dtype=torch.int64))
    assert together.shape == (2, 3, 32, 48)
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(together[0], together[1], atol=1e-4)


@pytest.mark.slow
def test_a_run_learns_and_resumes_to_the_same_weights(scenes: Path, tmp_path: Path) -> None:
    whole = train_hold(config(scenes, 4), tmp_path / "whole")
    train_hold(config(scenes, 2), tmp_path / "halves")
    state = torch.load(tmp_path / "halves" / "state.pt", weights_only=True)
    assert state["step"] == 2
    # The rate's curve depends on the run's length: the same two first steps are taken with the longer one.
    (tmp_path / "halves" / "state.pt").unlink()
    train_hold(config(scenes, 4), tmp_path / "halves")
    model, notes = load_hold(whole)
    assert notes["steps"] == "4"
    for name, value in load_hold(tmp_path / "halves" / "hold.safetensors")[0].state_dict().items():
        torch.testing.assert_close(value, model.state_dict()[name])
    lines = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert {"entropy", "overlap"} <= lines[0].keys() and any("composites_thing" in line for line in lines)
    assert (tmp_path / "whole" / "samples.png").exists()
    scene = disc_scene(0)
    assert answers(model, scene.picture, scene.handles).shape == (2, 3, 64, 64)


def test_batches_from_a_later_step_on_are_those_of_an_unbroken_run(scenes: Path) -> None:
    made = [batches(SceneSet(scenes / "train"), {"composites": 1.0}, 64, 2, 2, 0, start) for start in (0, 1)]
    next(made[0])
    assert torch.equal(next(made[0]).pictures, next(made[1]).pictures)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not a training config"),
        ('["scenes"]', "a JSON object is needed"),
        ("{}", "'scenes' is missing"),
        ('{"scenes": "x", "colour": 1}', "unknown keys: colour"),
        ('{"scenes": "x", "size": 60}', "multiple of 32"),
        ('{"scenes": "x", "shares": {"films": 1}}', "shares"),
    ],
)
def test_configs_that_make_no_run_are_refused(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(text)
    with pytest.raises(InputError, match=says):
        HoldConfig.read(file)


def test_what_cannot_be_trained_on_says_so(scenes: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no scenes"):
        train_hold(config(tmp_path, 1), tmp_path / "run")
    (tmp_path / "weights").write_bytes(b"none")
    with pytest.raises(InputError, match="not the published weights"):
        train_hold(config(scenes, 1, backbone=str(tmp_path / "weights")), tmp_path / "run")
    with pytest.raises(InputError, match="not a checkpoint"):
        train_hold(config(scenes, 1, start=str(tmp_path / "weights")), tmp_path / "run")


def test_clips_are_held_out_or_left_out_as_listed() -> None:
    splits = [split_of_clip(name) for name in ("lab4d__penguin.mp4", "BoofCV-Data__dashcam01_0.mp4", "a_new_one.mp4")]
    assert splits == ["held_out", "left_out", "train"]
    assert split_of_clip("shared-assets__flower.mp4") == "held_out"  # as of the generator's pairs


def test_pulls_are_judged_beside_grabcut_and_a_disc(tmp_path: Path) -> None:
    y, x = np.mgrid[:200, :300]
    thing = (np.abs(x - 160) < 50) & (np.abs(y - 100) < 40)
    photo = np.where(thing[..., None], (220, 40, 40), (60, 120, 90)).astype(np.uint8)
    photo = np.clip(photo + np.random.default_rng(0).normal(0, 6, photo.shape), 0, 255).astype(np.uint8)
    assert overlap(grabcut_hold(photo, (150.0, 90.0), 0.5), thing) > 0.9
    for name, picture in (("photo", photo), ("mask", thing.astype(np.uint8) * 255)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture)
    job = {"image": str(tmp_path / "photo.png"), "mask": str(tmp_path / "mask.png")}
    drags = [[[10, 10], [11, 10]], [[150, 90], [180, 95]]]  # the longer one is the pull
    (tmp_path / "jobs.jsonl").write_text(json.dumps({**job, "drags": drags}) + "\n")
    Hold().write(tmp_path / "hold.safetensors", {})
    found = judge(tmp_path / "jobs.jsonl", tmp_path / "hold.safetensors")
    assert found["pulls"] == 1 and found["grabcut_0.5"] > 0.9
    assert found["best"] == max(found["part"], found["thing"], found["group"])
    (tmp_path / "bad.jsonl").write_text(json.dumps({**job, "drags": [], "image": "x"}))
    for name in ("bad.jsonl", "missing.jsonl"):
        with pytest.raises(InputError, match=name):
            judge(tmp_path / name, None)


def test_rendered_things_carry_what_hangs_on_them() -> None:
    pytest.importorskip("pybullet", reason="rendered scenes are made with pybullet")
    from edgedrag.generator.hold.rendered import Renderer

    ground = texture(SHORT_SIDE, 5)
    renderer = Renderer([Path(__file__).parents[2] / "examples" / "coffee.png"])
    drawn = [renderer.scene(ground, np.random.default_rng(seed)) for seed in range(6)]
    scenes = [scene for scene in drawn if scene is not None]
    assert scenes and all(scene.parts_known for scene in scenes)
    for scene in scenes:
        for (x, y), marks in zip(scene.handles.astype(int), scene.maps):
            assert marks[y, x] == PART and not (scene.picture[marks == PART] == ground[marks == PART]).all()


def test_what_is_not_connected_with_the_point_is_not_held() -> None:
    answer = np.zeros((40, 60), np.float32)
    answer[10:30, 5:25], answer[10:30, 40:55] = 0.9, 0.9
    held = connected(answer, (15.0, 20.0))
    assert held[10:30, 5:25].all() and held.sum() == 20 * 20
    assert connected(np.zeros((40, 60), np.float32), (59.6, -0.4))[0, 59]  # a point at the edge holds itself
