"""A bundle calibrated on a few drags: what comes out, twice the same, after an interrupt too, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, rewrite_manifest

import edgedrag
from edgedrag.calibration.calibrate import Request, apply, calibrate
from edgedrag.calibration.runs import record as record_module
from edgedrag.calibration.runs.damage import Damage, Trial
from edgedrag.calibration.runs.drags import read_drags
from edgedrag.calibration.runs.workbench import Workbench
from edgedrag.calibration.search import Budget
from edgedrag.metrics.pixels import psnr_in_mask
from edgedrag.metrics.stlpips import STLPIPS
from edgedrag.runtime.bundle.describe import describe_bundle
from edgedrag.runtime.bundle.manifest import open_bundle
from edgedrag.runtime.errors import BundleError, EdgedragError, InputError

pytestmark = pytest.mark.slow

TRIED = "encoder/enter|condition/enter"


@pytest.fixture(scope="module")
def drags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drag and a pair of drags on the example photos, as a list of jobs."""
    file = tmp_path_factory.mktemp("drags") / "jobs.jsonl"
    jobs = [
        {"name": "cat", "image": "chelsea.png", "drags": [[[265, 240], [240, 248]]]},
        {"name": "two", "image": "chelsea.png", "drags": [[[120, 60], [140, 80]], [[150, 90], [152, 101]]], "seed": 3},
    ]
    for job in jobs:
        job["image"] = str(EXAMPLES / str(job["image"]))
    file.write_text("".join(json.dumps(job) + "\n" for job in jobs))
    return file


def request(drags: Path, psnr_db: float = 30.0, measure: str = TRIED) -> Request:
    return Request(drags, Budget(psnr_db, 0.05), (1, 2), 0, 2, measure, 100.0)


@pytest.fixture(scope="module")
def calibrated(drags: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrated") / "bundle"
    calibrate("embedded", request(drags), folder)
    return folder


def test_the_bundle_edits_in_int8_and_info_describes_its_recipe(calibrated: Path, cat: np.ndarray) -> None:
    edits = [
        edgedrag.open(calibrated, precision=p).load(cat).drag([((265, 240), (240, 248))]) for p in ("int8", "fp32")
    ]
    int8, fp32 = edits
    assert 25 < psnr_in_mask(int8.image, fp32.image, fp32.mask) < 68
    assert np.array_equal(int8.image[~int8.mask], cat[~int8.mask]), "outside the mask: equal bytes"
    recipe = json.loads((calibrated / "recipe.json").read_text())
    assert recipe["calibration"]["drags"] == 2 and recipe["calibration"]["steps"] == [1, 2]
    layers = {f"{g}/{layer['name']}": layer for g, found in recipe["graphs"].items() for layer in found["layers"]}
    assert layers["condition/enter"]["alone"]["psnr_db"] < 68
    assert layers["denoiser/head"]["alone"] is None and layers["denoiser/head"]["precision"] == "int8"
    latent = recipe["graphs"]["denoiser"]["inputs"]["latent"]
    assert set(latent["timesteps"]) == {"999", "499"} and latent["spread"] >= 1
    described = describe_bundle(open_bundle(calibrated))
    assert "layers; for TensorRT" in described and "budget" in described


def test_an_unchanged_graph_does_no_damage(drags: Path, tmp_path: Path) -> None:
    """What the edits in fp32 gave must still be there when others have run."""
    bench = Workbench(open_bundle("embedded"), tmp_path)
    trial = Trial(bench, read_drags(drags, (1, 2), 0, 100.0).drags, STLPIPS())
    graphs = {place: bench.compile(place[0], bench.model(*place)) for place in bench.slots}
    damage = trial.measure(graphs, perceptual_from=0.0)
    assert damage == Damage(psnr_db=68.131, worst_db=68.131, stlpips=0.0, snr_db=200.0), "at their caps"


def test_the_int8_files_are_small(calibrated: Path) -> None:
    bundle = open_bundle(calibrated)
    graphs = {graph.name: graph for _, graph in bundle.graphs()}
    for name in ("encoder", "condition", "denoiser"):
        file = calibrated / f"{name}.int8.ort.onnx"
        assert file.stat().st_size < 0.35 * 4 * graphs[name].cost["parameters"]


def test_two_runs_and_an_interrupted_one_give_the_same_bytes(
    calibrated: Path, drags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = tmp_path / "again"
    shutil.copytree(calibrated, again)
    before = {file.name: file.read_bytes() for file in again.iterdir()}
    interrupt(monkeypatch, after=1)
    with pytest.raises(KeyboardInterrupt):
        calibrate("embedded", request(drags), again)
    assert {file.name: file.read_bytes() for file in again.iterdir()} == before, "the old bundle is whole"
    assert (tmp_path / ".again.calibration" / "plain.npz").is_file()
    monkeypatch.undo()
    calibrate("embedded", request(drags), again)
    assert {file.name: file.read_bytes() for file in again.iterdir()} == before
    assert list(tmp_path.iterdir()) == [again], "nothing is left beside it"


def interrupt(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let a recording save after each drag and stop after some."""
    monkeypatch.setattr(record_module, "SAVE_EVERY", 1)
    save = record_module.save

    def save_and_stop(state: Path, done: int, statistics: record_module.Statistics) -> None:
        save(state, done, statistics)
        if done == after:
            raise KeyboardInterrupt

    monkeypatch.setattr(record_module, "save", save_and_stop)


def test_a_recipe_is_applied_to_the_weights_it_was_made_for(calibrated: Path, tmp_path: Path) -> None:
    apply("embedded", calibrated / "recipe.json", tmp_path / "applied")
    for file in calibrated.iterdir():
        assert (tmp_path / "applied" / file.name).read_bytes() == file.read_bytes()


def changed(change: Callable[[dict], object]) -> Callable[[Path, Path], Path]:
    def make(recipe: Path, folder: Path) -> Path:
        found = json.loads(recipe.read_text())
        change(found)
        (folder / "recipe.json").write_text(json.dumps(found))
        return folder / "recipe.json"

    return make


def a_range(value: float) -> Callable[[dict], object]:
    entry = {"range": value, "estimator": "min_max", "peak": 1.0, "timesteps": {}}
    return lambda recipe: recipe["graphs"]["encoder"]["inputs"].update(x=entry)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (changed(lambda r: r["graphs"]["condition"].update(sha256="0" * 64)), "for other weights: graph 'condition'"),
        (changed(a_range(0.0)), "tensor 'x': range 0.0 is not above 0"),
        (changed(a_range(float("nan"))), "tensor 'x': range nan is not above 0"),
        (changed(lambda r: r.pop("budget")), "not a recipe: .*budget"),
        (lambda recipe, folder: folder / "absent.json", "cannot be read"),
    ],
)
def test_recipes_that_are_refused(
    calibrated: Path, tmp_path: Path, make: Callable[[Path, Path], Path], why: str
) -> None:
    with pytest.raises(InputError, match=why):
        apply("embedded", make(calibrated / "recipe.json", tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_bundle_with_int8_is_refused(calibrated: Path, drags: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is quantized already"):
        calibrate(calibrated, request(drags), tmp_path / "twice")


def test_a_recipe_that_was_changed_is_not_described(calibrated: Path, tmp_path: Path) -> None:
    shutil.copytree(calibrated, tmp_path / "bundle")
    (tmp_path / "bundle" / "recipe.json").write_text("{}")
    with pytest.raises(BundleError, match=r"recipe.json: damaged or changed"):
        describe_bundle(open_bundle(tmp_path / "bundle"))


def test_no_drags_and_drags_that_all_fail(tmp_path: Path, drags: Path) -> None:
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text("\n")
    with pytest.raises(InputError, match="no drags to calibrate on"):
        read_drags(jobs, (1,), 0, 100.0)
    jobs.write_text('{"name": "a", "image": "absent.png", "drags": [[[1, 1], [2, 2]]]}\n')
    with pytest.raises(InputError, match=r"none of 1 drags can be used; the first, a: .*absent.png"):
        read_drags(jobs, (1,), 0, 100.0)
    jobs.write_text(jobs.read_text() + drags.read_text())
    found = read_drags(jobs, (1,), 0, 100.0)
    assert len(found.drags) == 2 and list(found.skipped) == ["a"]
    with pytest.raises(InputError, match="no such folder or file"):
        read_drags(tmp_path / "nowhere", (1,), 0, 100.0)
    with pytest.raises(InputError, match="no samples"):
        read_drags(tmp_path, (1,), 0, 100.0)


def test_a_tensor_that_is_not_a_number_stops_it(tmp_path: Path, drags: Path) -> None:
    import onnx
    from onnx import numpy_helper

    broken = tmp_path / "broken"
    shutil.copytree(open_bundle("embedded").folder, broken)
    model = onnx.load(str(broken / "encoder.onnx"))
    weight = model.graph.initializer[0]
    values = numpy_helper.to_array(weight).copy()
    values.flat[0] = np.nan
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(model, str(broken / "encoder.onnx"))
    from edgedrag.runtime.files import sha256_of

    def as_exported(manifest: dict) -> None:
        del manifest["recipe"]
        for graph in (graph for stage in manifest["stages"].values() for graph in stage):
            graph["variants"] = [v for v in graph["variants"] if v["precision"] == "fp32"]
        manifest["stages"]["reference"][0]["variants"][0]["sha256"] = sha256_of(broken / "encoder.onnx")

    rewrite_manifest(broken, as_exported)
    with pytest.raises(EdgedragError, match=r"encoder: tensor '.*' has NaN or infinite values"):
        calibrate(broken, request(drags), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_line(edit_cli: Callable, calibrated: Path, drags: Path, tmp_path: Path) -> None:
    both = edit_cli("bundle", "calibrate", "embedded", "-o", tmp_path / "b")
    assert both.returncode == 2 and "give one of --drags and --recipe" in both.stderr
    nowhere = edit_cli("bundle", "calibrate", "embedded", "--drags", drags, "-o", tmp_path / "no" / "b")
    assert nowhere.returncode == 2 and "no such folder" in nowhere.stderr
    pattern = edit_cli("bundle", "calibrate", "embedded", "--drags", drags, "-o", tmp_path / "b", "--measure", "(")
    assert pattern.returncode == 2 and "is not a regular expression" in pattern.stderr
    recipe, plot = calibrated / "recipe.json", tmp_path / "p.png"
    done = edit_cli("bundle", "calibrate", "embedded", "--recipe", recipe, "-o", tmp_path / "b", "--plot", plot)
    assert done.returncode == 0, done.stderr
    assert "layers; for TensorRT" in done.stdout and plot.stat().st_size > 5000
    shown = edit_cli("info", tmp_path / "b")
    assert "int8/ort" in shown.stdout and "int8/tensorrt" in shown.stdout and "budget" in shown.stdout
