"""Holds by a bundle's graphs, and what such a bundle must say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import rewrite_manifest
from toy_hold import add_toy_hold

import edgedrag
from edgedrag.runtime.bundle.cost import costs_as_json, describe_cost
from edgedrag.runtime.bundle.describe import describe_bundle
from edgedrag.runtime.bundle.manifest import open_bundle
from edgedrag.runtime.errors import BundleError, EngineError
from edgedrag.runtime.hold import closer
from edgedrag.runtime.hold.grabcut import grabcut_answers
from edgedrag.runtime.hold.hold import FOUND_NAMES, NEAR

POINT = (150.0, 110.0)


@pytest.fixture
def bundle(toy: Path) -> Path:
    return add_toy_hold(toy)


class Recorded:
    """A compiled graph that notes the shapes of its inputs, and gives what `change` makes of its outputs."""

    def __init__(self, graph: Any, change: Callable[[np.ndarray], np.ndarray] | None = None):
        self.graph, self.change = graph, change
        self.shapes: list[dict[str, tuple[int, ...]]] = []

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        self.shapes.append({name: tuple(value.shape()) for name, value in inputs.items()})
        found = self.graph.run(inputs)
        if self.change is not None:
            found = {name: type(value).ortvalue_from_numpy(self.change(value.numpy())) for name, value in found.items()}
        return found


def watch(runtime: edgedrag.Runtime, change: Callable[[np.ndarray], np.ndarray] | None = None) -> dict[str, Recorded]:
    """Replace the hold's graphs by recorded ones, by name; `change` is for the answers."""
    found = {}
    for stage, graph, compiled in runtime.stages.graphs():
        if stage == "hold":
            wanted = change if graph.name == "hold_answers" else None
            found[graph.name] = compiled["single"] = Recorded(compiled["single"], wanted)
    return found


def scene(height: int = 240, width: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """A red ellipse on green, uint8, and where it is, bool."""
    thing = np.zeros((height, width), np.uint8)
    cv2.ellipse(thing, (width // 2, height // 2), (width // 5, height // 4), 0, 0, 360, 1, -1)
    return np.where(thing[..., None] > 0, [190, 60, 50], [70, 110, 80]).astype(np.uint8), thing > 0


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_the_graphs_answer_at_the_photo_s_own_edges(bundle: Path) -> None:
    photo, thing = scene(960, 1200)
    hold = edgedrag.open(bundle).load(photo).hold((600, 480))
    for name in FOUND_NAMES:
        assert overlap(hold.answer(name).on_photo() > 0.5, thing) > 0.995
    for held in edgedrag.open(bundle).load(photo).hold((5, 5)).alternatives:
        assert (held.on_photo() > 0.5).mean() > 0.995, "islands in what is held are held too"


def test_the_neighbourhood_reaches_around_the_group_and_gives_way_softly(bundle: Path) -> None:
    photo, thing = scene(960, 1200)
    near = edgedrag.open(bundle).load(photo).hold((600, 480)).answer("neighbourhood")
    away = cv2.distanceTransform((~thing).astype(np.uint8), cv2.DIST_L2, 5) / 960
    held = near.on_photo() > 0.5
    assert held[away < NEAR - 0.015].all() and not held[away > NEAR + 0.015].any()
    follows = cv2.resize(near.follows, thing.shape[::-1])
    assert follows[thing].mean() > 0.99 and follows[(away > 2 * NEAR) & (away < 1)].mean() < 0.02
    assert follows[abs(away - NEAR) < 0.002].mean() == pytest.approx(0.5, abs=0.05)


def test_features_are_made_once_for_a_photo_and_answers_for_each_point(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closer, "MOST", 0.0)  # without closer looks
    runtime = edgedrag.open(bundle)
    graphs = watch(runtime)
    photo, thing = scene()
    loaded = runtime.load(photo)

    def features() -> int:
        return len(graphs["hold_features"].shapes)

    first = loaded.hold(POINT).on_photo()
    assert features() == len(graphs["hold_answers"].shapes) == 2, "at two sizes"
    loaded.hold((10, 10))
    assert (features(), len(graphs["hold_answers"].shapes)) == (2, 4)
    loaded.drag([(POINT, (190.0, 110.0))], np.ones(thing.shape, bool))
    loaded.hold(POINT)
    assert features() == 4, "the photo changed"
    loaded.undo()
    assert np.array_equal(loaded.hold(POINT).on_photo(), first)
    assert features() == 4, "and changed back"


def test_looking_ahead_leaves_the_point_alone_to_a_hold(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after an edit, on what that moved, where the earlier hold goes along."""
    monkeypatch.setattr(closer, "MOST", 0.0)
    runtime = edgedrag.open(bundle)
    graphs = watch(runtime)
    photo, _ = scene()
    loaded, alone = runtime.load(photo), edgedrag.open(bundle).load(photo)
    for opened in (loaded, alone):
        opened.drag([(POINT, (190.0, 110.0))])
    before = {name: len(graph.shapes) for name, graph in graphs.items()}
    loaded.look_ahead()
    loaded.look_ahead()
    assert len(graphs["hold_features"].shapes) == before["hold_features"] + 2, "at two sizes, once"
    assert len(graphs["hold_answers"].shapes) == before["hold_answers"]
    made = loaded.hold((10, 10))
    assert len(graphs["hold_features"].shapes) == before["hold_features"] + 2
    assert len(graphs["hold_answers"].shapes) == before["hold_answers"] + 2
    assert np.array_equal(made.on_photo(), alone.hold((10, 10)).on_photo())


def test_looking_ahead_without_graphs_that_run_is_left_to_the_hold(bundle: Path) -> None:
    runtime = edgedrag.open(bundle)

    def fail(_: np.ndarray) -> np.ndarray:
        raise EngineError("no engine of 'hold_features'")

    watch(runtime)["hold_features"].change = fail
    photo, _ = scene()
    loaded = runtime.load(photo)
    loaded.look_ahead()
    with pytest.warns(RuntimeWarning, match="GrabCut answers"):
        loaded.hold(POINT)


@pytest.mark.parametrize(("shape", "sizes"), [
    ((240, 300), [(64, 64), (128, 128)]), ((300, 900), [(64, 128)]), ((900, 300), [(128, 64)]),
    ((4, 4), [(64, 64), (128, 128)]),
])  # fmt: skip
def test_sizes_are_those_for_the_photo_s_aspect(
    bundle: Path, shape: tuple[int, int], sizes: list[tuple[int, int]]
) -> None:
    runtime = edgedrag.open(bundle)
    graphs = watch(runtime)
    runtime.load(np.zeros((*shape, 3), np.uint8)).hold((1, 2))
    assert [shapes["image"][2:] for shapes in graphs["hold_features"].shapes] == sizes


def test_what_is_below_the_level_is_not_held(bundle: Path) -> None:
    runtime = edgedrag.open(bundle)
    photo, thing = scene()
    watch(runtime, lambda held: held * 0.35)  # the level is 0.4
    assert runtime.load(photo).hold(POINT).on_photo().sum() < 0.02 * thing.sum()
    runtime = edgedrag.open(bundle)
    watch(runtime, lambda held: held * 0.6)
    assert overlap(runtime.load(photo).hold(POINT).on_photo() > 0.5, thing) > 0.95


def test_answers_that_are_no_numbers_are_made_by_grabcut(bundle: Path, cat: np.ndarray) -> None:
    runtime = edgedrag.open(bundle)
    watch(runtime, lambda held: held * np.nan)
    held = runtime.load(cat).hold((265, 240)).on_photo()
    rewrite_manifest(bundle, lambda m: (m.pop("hold"), m["stages"].pop("hold")))
    assert np.array_equal(edgedrag.open(bundle).load(cat).hold((265, 240)).on_photo(), held)


def test_without_the_hold_s_engines_grabcut_answers_and_a_warning_says_so(bundle: Path, cat: np.ndarray) -> None:
    def fail(_: np.ndarray) -> np.ndarray:
        raise EngineError("no engine of 'hold_answers'")

    runtime = edgedrag.open(bundle)
    graphs = watch(runtime, fail)
    photo = runtime.load(cat)
    with pytest.warns(RuntimeWarning, match="no engine of 'hold_answers'"):
        held = photo.hold((265, 240)).on_photo()
    assert np.array_equal(photo.hold((265, 240)).on_photo(), held) and len(graphs["hold_answers"].shapes) == 1


def test_grabcut_s_answers_do_not_depend_on_what_ran_before(cat: np.ndarray) -> None:
    point = np.array([150.0, 140.0])
    first = grabcut_answers(cat, point)
    cv2.setRNGSeed(5)
    grabcut_answers(cat, point + 40)
    assert np.array_equal(grabcut_answers(cat, point), first)


def test_descriptions_have_the_hold_at_its_own_sizes(bundle: Path) -> None:
    opened = open_bundle(bundle)
    assert "hold_answers" in describe_bundle(opened) and "hold_answers" in describe_cost(opened)
    row = next(graph for graph in costs_as_json(opened)["graphs"] if graph["graph"] == "hold_features")
    assert row["per"] == "hold" and row["flops"] == 64 * 64 + 128 * 128
    assert opened.sizes_of("hold") == [(64, 64), (128, 128), (64, 128), (128, 64)]


ATTACKS: dict[str, tuple[Callable[[dict], object], str]] = {
    "size out of bounds": (lambda m: m["hold"]["sizes"][0].append([2048, 2048]), "hold"),
    "size that does not divide": (lambda m: m["hold"]["sizes"][0].append([96, 96]), "hold size 96 x 96 breaks"),
    "no sizes": (lambda m: m["hold"].update(sizes=[]), "sizes"),
    "a level above all": (lambda m: m["hold"].update(level=1), "level"),
    "nothing held": (lambda m: m["stages"]["hold"][1]["outputs"][0].update(name="answers"), "must make 'held'"),
    "held at another size": (
        lambda m: m["stages"]["hold"][1]["outputs"][0].update(shape=[1, 3, "H", "W"]),
        "must make 'held'",
    ),
    "a mask": (lambda m: m["stages"]["hold"][0]["inputs"][0].update(name="mask"), "nothing supplies"),
    "a tensor of a drag": (lambda m: m["stages"]["hold"][1]["inputs"][1].update(name="latent"), "nothing supplies"),
    "a point of another shape": (lambda m: m["stages"]["hold"][1]["inputs"][0].update(shape=[1, 4]), "runtime makes"),
    "a point for a drag": (lambda m: m["stages"]["drag"][1]["inputs"][0].update(name="point"), "nothing supplies"),
}


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_manifests_that_are_refused(bundle: Path, attack: str) -> None:
    change, words = ATTACKS[attack]
    rewrite_manifest(bundle, change)
    with pytest.raises(BundleError, match=words):
        open_bundle(bundle)
