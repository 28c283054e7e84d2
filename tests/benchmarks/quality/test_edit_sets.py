"""The drags that versions are compared on: mined, read, grouped and compared."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgedrag.benchmarks.quality.edits import frame_pairs
from edgedrag.benchmarks.quality.edits.comparison import compare_edits, describe, read_edits
from edgedrag.benchmarks.quality.edits.report import summarise
from edgedrag.benchmarks.quality.edits.tasks import (
    KINDS,
    KINDS_FILE,
    PULLS,
    UNKNOWN,
    clip_of,
    frame_tasks,
    judged_tasks,
    kind_of,
    read_kinds,
    read_lines,
)
from edgedrag.benchmarks.quality.verdicts.fitting import WRONG
from edgedrag.runtime.errors import InputError


def texture(height: int, width: int, seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 255, (height // 6, width // 6, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    """A textured square that moves by 2 pixels a frame over textured ground."""
    ground, square = texture(256, 320, 0), texture(120, 120, 1)
    clip = []
    for n in range(12):
        frame = ground.copy()
        frame[100:220, 100 + 2 * n : 220 + 2 * n] = square
        clip.append(frame)
    return clip


@pytest.fixture(scope="module")
def jobs(frames: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of pairs, as `frame_pairs` writes it."""
    folder = tmp_path_factory.mktemp("pairs")
    source, target = frames[0], frames[4]
    mask = np.zeros(source.shape[:2], np.uint8)
    mask[88:232, 88:240] = 255
    for name, image in (("source", source), ("target", target), ("mask", mask)):
        cv2.imwrite(str(folder / f"{name}.png"), image)
    job = {"image": "source.png", "target": "target.png", "mask": "mask.png", "seed": 0}
    lines = [
        {"name": "co-tracker__apple_0", **job, "drags": [[[150, 150], [158, 150]], [[120, 130], [128.5, 130]]]},
        {"name": "another_clip_0", **job, "drags": [[[150, 150], [158, 150]]]},
    ]
    (folder / "jobs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "jobs.jsonl"


def test_a_pair_shows_what_moves(frames: list[np.ndarray]) -> None:
    found = [frame_pairs.make_pair(frames, random.Random(seed)) for seed in range(6)]
    pairs = [pair for pair in found if pair is not None]
    assert pairs, "no pair from a square that moves"
    again = frame_pairs.make_pair(frames, random.Random(found.index(pairs[0])))
    assert again is not None and again.drags == pairs[0].drags, "the same draw gives the same pair"
    for pair in pairs:
        assert pair.mask[140:180, 150:170].all() and not pair.mask[:60].any()
        assert (pair.target[~pair.mask] == pair.source[~pair.mask]).all()
        for (hx, hy), (tx, ty) in pair.drags:
            assert pair.mask[int(hy), int(hx)] and 4 < tx - hx < 17 and abs(ty - hy) < 2
    assert frame_pairs.make_pair([frames[0]] * 40, random.Random(0)) is None, "nothing moves"


def test_pairs_and_pulls_are_read(jobs: Path) -> None:
    pair, pull, other, _ = frame_tasks(jobs, read_kinds(KINDS_FILE), every=1)
    assert pair.mask is not None and pull.mask is None and pull.group == PULLS
    assert pull.points.tolist() == [[120, 130, 128.5, 130]], "the longest drag alone"
    assert (pair.kind, other.kind) == ("rigid", UNKNOWN) and pair.truth is not None
    assert pair.moving is not None and pair.moving[150, 160] and not pair.moving[90, 160]
    assert len(list(frame_tasks(jobs, {}, every=2))) == 2


def test_kinds_are_checked(tmp_path: Path) -> None:
    kinds = read_kinds(KINDS_FILE)
    assert set(kinds.values()) <= set(KINDS) and kind_of("TokenFlow__wolf_3", kinds) == "animal"
    assert clip_of("sample-videos__walk_4") == "sample-videos__walk" and clip_of("pull_07") == "pull_07"
    wrong = tmp_path / "kinds.tsv"
    wrong.write_text("clip\tliquid\n")
    with pytest.raises(InputError, match=r"'clip\\tliquid': write NAME, a tab"):
        read_kinds(wrong)
    with pytest.raises(InputError, match=r"none\.tsv"):
        read_kinds(tmp_path / "none.tsv")


@pytest.mark.parametrize("text", ["", "[1]\n", "{\n", "\x00"])
def test_a_file_of_no_drags_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text(text)
    with pytest.raises(InputError, match=r"jobs\.jsonl"):
        read_lines(file)


def test_a_pair_without_truth_is_named(jobs: Path) -> None:
    lines = [json.loads(line) for line in jobs.read_text().splitlines()]
    file = jobs.with_name("untrue.jsonl")
    file.write_text(json.dumps({k: v for k, v in lines[0].items() if k != "target"}))
    with pytest.raises(InputError, match="co-tracker__apple_0: a pair of frames has a mask and a target"):
        list(frame_tasks(file, {}, 1))
    file.write_text(json.dumps({k: v for k, v in lines[0].items() if k != "drags"}))
    with pytest.raises(InputError, match="a line has no 'drags'"):
        list(frame_tasks(file, {}, 1))


def test_the_sheet_of_60_is_read_and_its_judgements_are_whole(tmp_path: Path) -> None:
    """The photos are not part of the project: grey ones of other sizes stand in for them."""
    sheet = read_lines(Path(KINDS_FILE).with_name("sheet_60.jsonl"))
    assert len(sheet) == 60 and sum("mask" in row for row in sheet) == 30
    assert {row["kept"] for row in sheet} == {"yes", "maybe", "no"}
    assert all((row["wrong"] in WRONG) == (row["kept"] != "yes") and row["licence"] and row["source"] for row in sheet)
    for row in sheet:
        cv2.imwrite(str(tmp_path / row["image"]), texture(60, 90, 1))
    (tmp_path / "sheet.jsonl").write_text("".join(json.dumps(row) + "\n" for row in sheet))
    for task, row in zip(judged_tasks(tmp_path / "sheet.jsonl", {}, 1), sheet):
        assert task.photo.shape[1::-1] == tuple(row["size"]) and (task.mask is None) == ("mask" not in row)
        for hx, hy, _, _ in task.points.astype(int).tolist():
            assert task.mask is None or task.mask[hy, hx], "a handle lies in its mask"


def test_a_mask_or_size_that_is_none_is_named(jobs: Path) -> None:
    job = json.loads(jobs.read_text().splitlines()[0])
    for mask in ({}, {"ellipse": [1, 2]}, {"ellipse": [9, 9, -4, 4]}, {"ellipse": "abcd"}):
        file = jobs.with_name("ellipse.jsonl")
        file.write_text(json.dumps({**job, "mask": mask}))
        with pytest.raises(InputError, match="co-tracker__apple_0: mask: write a file, or"):
            list(judged_tasks(file, {}, 1))
    for size in ("large", [9], [-9, 9]):
        file.write_text(json.dumps({**job, "size": size}))
        with pytest.raises(InputError, match=r"co-tracker__apple_0: size: .* is no width and height"):
            list(judged_tasks(file, {}, 1))


def rows(gain: float, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of pairs and pulls of ten clips whose own figures are `gain` dB above chance."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(40):
        base, noise = rng.uniform(18, 26), rng.normal(0, 0.1)
        own = {"psnr_db": base + gain + noise, "stlpips": 0.05}
        plain = {"psnr_db": base, "stlpips": 0.05}
        common = {
            "name": f"clip{number % 10}_{number // 10}", "kind": KINDS[number % 3], "drags": 1 + number % 3,
            "verdict": "good", "reasons": [], "verdicts_of_candidates": [], "ms": 80.0,
        }  # fmt: skip
        methods = {name: plain for name in ("unedited", "inverse_distance_warp")}
        made.append(
            {
                **common, "group": "pairs", "tightness": 0.7,
                "methods": {**methods, "edgedrag": own, "best_of_candidates": own},
            }
        )  # fmt: skip
    return made


def test_a_gain_is_seen_over_the_noise_and_no_gain_is_none(tmp_path: Path) -> None:
    first, second = ({"kind": "edits", **summarise(rows(gain))} for gain in (0.0, 0.5))
    found = compare_edits(first, second)
    change = found["differences"]["pairs psnr_db"]
    assert change["says"] == "better" and change["difference"] == pytest.approx(0.5, abs=1e-3) and change["tasks"] == 40
    assert found["differences"]["pairs stlpips"]["says"] == "same"
    assert (found["verdict"], found["lost"]) == ("better", []) and "gained: pairs psnr_db" in describe(found)
    assert compare_edits(second, first)["verdict"] == "worse"
    assert {p["says"] for p in found["parts"]["pairs psnr_db"].values()} == {"better"}
    groups = first["groups"]["pairs"]
    assert sum(part["tasks"] for part in groups["by_drags"].values()) == groups["tasks"] == 40
    assert list(groups["by_kind"]) == list(KINDS[:3]) and list(groups["by_tightness"]) == ["0.65 to 0.8"]
    second["by_task"] = [{**row, "name": "other" + row["name"]} for row in second["by_task"]]
    with pytest.raises(InputError, match="no task in common"):
        compare_edits(first, second)
    file = tmp_path / "report.json"
    file.write_text(json.dumps(first))
    assert read_edits(file) == first and read_edits(tmp_path / "none.json") is None
    file.write_text(json.dumps({"kind": "edits"}))
    assert read_edits(file) is None
