"""Optimised graphs that are kept: the same results, found by all that they depend on, and no harm where they fail."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import edgedrag
from edgedrag.runtime.backends import kept_graphs, onnxruntime
from edgedrag.runtime.backends.kept_graphs import GRAPH, WEIGHTS, KeptGraph
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.files import PARTIAL

DRAG = [((20, 20), (30, 24))]
PHOTO = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEDRAG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "graphs"


def edited(bundle: Path | str = "embedded", precision: str = "int8") -> np.ndarray:
    return edgedrag.open(bundle, "cpu", precision).load(PHOTO).drag(DRAG).image  # type: ignore[arg-type]


def keep(content: bytes, *made_of: object) -> None:
    with KeptGraph(*made_of).written() as place:
        assert place is not None
        place.write_bytes(content)


def files(cache: Path) -> dict[str, bytes]:
    """What the files of all graphs that are kept hold, by folder and name."""
    return {str(path.relative_to(cache)): path.read_bytes() for path in sorted(cache.glob("*/*"))}


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_a_second_start_loads_what_the_first_one_optimised_and_gives_the_same_pixels(
    cache: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    first = edited(precision=precision)
    kept = files(cache)
    count = len(list(edgedrag.open(precision=precision).stages.graphs()))  # type: ignore[arg-type]
    assert sum(name.endswith(GRAPH) for name in kept) == count
    inside = sum(len(content) for name, content in kept.items() if name.endswith(GRAPH))
    assert inside < 0.2 * sum(map(len, kept.values())), "the weights lie beside the graphs"
    monkeypatch.delattr(onnxruntime.OnnxRuntimeCpu, "_optimised")
    monkeypatch.delattr(Bundle, "verified_file")  # whose files are not read again
    assert np.array_equal(first, edited(precision=precision))
    assert files(cache) == kept


@pytest.fixture
def weights_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy's weights, which are small, lie beside its graphs too."""
    monkeypatch.setattr(onnxruntime, "MAPPED", 0)


@pytest.mark.usefixtures("weights_apart")
@pytest.mark.parametrize("what", [GRAPH, WEIGHTS])
@pytest.mark.parametrize("damage", [b"", b"not a graph", None, "gone"], ids=["empty", "overwritten", "a bit", "gone"])
def test_damaged_ones_are_made_anew(cache: Path, toy: Path, damage: bytes | str | None, what: str) -> None:
    first = edited(toy, "fp32")
    kept = files(cache)
    chosen = [name for name, content in kept.items() if name.endswith(what) and content]
    assert chosen
    for name in chosen:
        content = kept[name]
        (cache / name).unlink()  # not in place: the sessions above may still map it
        if not isinstance(damage, str):
            changed = content[:-1] + bytes([content[-1] ^ 1])
            (cache / name).write_bytes(changed if damage is None else damage)
    assert np.array_equal(first, edited(toy, "fp32"))
    assert files(cache) == kept


@pytest.mark.usefixtures("weights_apart")
@pytest.mark.parametrize("content", [b"whole, and no graph", "another file's weights"])
def test_one_that_cannot_be_used_is_made_anew(cache: Path, toy: Path, content: bytes | str) -> None:
    first = edited(toy, "fp32")
    kept = files(cache)
    for name in (name for name in kept if name.endswith(GRAPH)):
        place = KeptGraph()
        place._key = name.partition("-")[0]
        with place.written() as file:
            assert file is not None
            graph = kept[name].replace(WEIGHTS.encode(), b"../../a.bin")
            file.write_bytes(content if isinstance(content, bytes) else graph)
    assert files(cache) != kept
    assert np.array_equal(first, edited(toy, "fp32"))
    assert files(cache) == kept


def test_a_damaged_bundle_is_refused_though_its_graphs_are_kept(cache: Path, toy: Path) -> None:
    edited(toy, "fp32")
    file = next(toy.glob("*.onnx"))
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    with pytest.raises(edgedrag.BundleError, match="damaged or changed"):
        edgedrag.open(toy, "cpu", "fp32")


@pytest.mark.parametrize("kind", ["a file where the folder should be", "no place left"])
def test_where_nothing_can_be_kept_everything_runs(
    tmp_path: Path, toy: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    expected = edited(toy, "fp32")
    if kind == "no place left":
        monkeypatch.setenv("EDGEDRAG_CACHE", str(tmp_path / "none"))
        monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    else:
        (tmp_path / "file").write_bytes(b"")
        monkeypatch.setenv("EDGEDRAG_CACHE", str(tmp_path / "file"))
    assert np.array_equal(expected, edited(toy, "fp32"))
    assert not list(tmp_path.glob(f"none/graphs/*{PARTIAL}"))


def test_another_library_processor_or_setting_has_graphs_of_its_own(
    cache: Path, toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited(toy, "fp32")
    count = len(list(cache.iterdir()))
    settings = {**onnxruntime.OnnxRuntimeCpu.settings, "session.set_denormal_as_zero": "1"}
    others = (
        (onnxruntime, "vector_instructions", lambda: ("avx512f",)),
        (onnxruntime, "cpu_name", lambda: "another processor"),
        (onnxruntime.ort, "__version__", "9.9"),
        (onnxruntime.OnnxRuntimeCpu, "settings", settings),
    )
    for number, (place, name, value) in enumerate(others, start=2):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, value)
            edgedrag.open(toy, "cpu", "fp32")
        assert len(list(cache.iterdir())) == number * count


def test_those_used_last_stay(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_graphs, "MOST", 30)
    for number in range(3):
        keep(bytes([8, number]) * 5, number)  # an ONNX file: fields 1
        os.utime(next(path.parent for path in cache.glob("*/*") if path.read_bytes()[1] == number), (number, number))
    assert KeptGraph(0).find() is not None, "which is a use"
    keep(bytes([8, 9]) * 5, "new")
    found = [KeptGraph(name).find() is not None for name in (0, 1, 2, "new")]
    assert found == [True, False, True, True]


def test_a_failure_while_it_is_written_leaves_nothing(cache: Path) -> None:
    with pytest.raises(ZeroDivisionError), KeptGraph("x").written() as place:
        assert place is not None
        place.write_bytes(b"half")
        1 / 0  # noqa: B018
    assert not list(cache.iterdir())
