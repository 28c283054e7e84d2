"""The cache of engines: what makes a key, and what becomes of damaged, foreign and half-written files."""

from __future__ import annotations

import dataclasses
import errno
import os
from pathlib import Path

import pytest

from edgedrag.runtime.backends.tensorrt import cache as engines
from edgedrag.runtime.backends.tensorrt.cache import (
    ANY_SIZE,
    EngineKey,
    EngineStore,
    EngineTarget,
    differences,
    engine_key,
)
from edgedrag.runtime.backends.tensorrt.lookup import EngineLookup, engine_files
from edgedrag.runtime.backends.tensorrt.pruning import prune
from edgedrag.runtime.bundle.manifest import open_bundle
from edgedrag.runtime.errors import EngineError, InputError

PLAN = bytes(range(256)) * 40
BUILT_FOR = EngineTarget("tensorrt-rtx", "1", "sm_86", ())
BUILT = {"seconds": 1.0, "weight_bytes": 5, "activation_bytes": 7, "int8_layers": 0}


def make_key(**changes: object) -> EngineKey:
    bundle = open_bundle("embedded")
    graph, variant = engine_files(bundle, "int8")[0]
    built_for = EngineTarget("tensorrt-rtx", "1.7.1", "sm_86", ("STRONGLY_TYPED",))
    key = engine_key(bundle, graph, variant, "int8", (256, 256), built_for)
    return dataclasses.replace(key, **changes)  # type: ignore[arg-type]


CHANGES = {
    "onnx": "0" * 64,
    "recipe": None,
    "library": "tensorrt",
    "version": "1.7.2",
    "target": "sm_89",
    "size": (256, 192),
    "precision": "fp16",
    "branch": "pair",
    "shapes": {"image": ((1, 3, 64, 64),) * 3},
    "options": (),
}


@pytest.mark.parametrize("part", CHANGES)
def test_every_ingredient_of_a_key_makes_another_engine(tmp_path: Path, part: str) -> None:
    store = EngineStore(tmp_path)
    store.publish(make_key(), PLAN, BUILT)
    other = make_key(**{part: CHANGES[part]})
    assert store.find(make_key()) is not None
    assert store.find(other) is None
    assert other.name != make_key().name


def test_a_key_holds_the_hashes_of_graph_external_data_and_recipe() -> None:
    bundle = open_bundle("embedded")
    for graph, variant in engine_files(bundle, "int8"):
        args = (bundle, graph, variant, "int8", (256, 256), BUILT_FOR)
        key = engine_key(*args)
        assert key.recipe == bundle.manifest["recipe"]["sha256"]
        changed = [dataclasses.replace(variant, sha256="1" * 64)]
        if variant.external:
            changed.append(dataclasses.replace(variant, external=((variant.external[0][0], "1" * 64),)))
        for other in changed:
            assert engine_key(bundle, graph, other, *args[3:]).digest != key.digest
    graph, variant = engine_files(bundle, "fp16")[0]
    assert engine_key(bundle, graph, variant, "fp16", (256, 256), BUILT_FOR).recipe is None


def test_a_graph_without_the_windows_size_has_one_engine_for_all(toy: Path) -> None:
    bundle = open_bundle(toy)
    sizes = {
        graph.name: engine_key(bundle, graph, variant, "fp32", (128, 128), BUILT_FOR).size
        for graph, variant in engine_files(bundle, "fp32")
    }
    assert sizes.pop("clip") == ANY_SIZE
    assert set(sizes.values()) == {(128, 128)}


def test_an_engine_is_whole_or_said_to_be_damaged(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    stored = store.publish(make_key(), PLAN, BUILT)
    assert stored.fault() is None and stored.path.read_bytes() == PLAN
    stored.path.write_bytes(PLAN[:-1] + b"!")
    assert stored.fault() == "its bytes are not those that were built"
    stored.path.write_bytes(PLAN[:100])
    assert stored.fault() == f"100 bytes, {len(PLAN)} were built"
    stored.path.unlink()
    assert "cannot be read" in str(stored.fault())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "edgedrag-engine"}', '{"format_version": 1, "key": 3}'])
def test_a_manifest_that_is_none_is_no_engine(tmp_path: Path, text: str) -> None:
    store = EngineStore(tmp_path)
    key = make_key()
    (tmp_path / f"{key.name}.json").write_text(text)
    assert store.find(key) is None
    assert list(store.entries()) == []
    assert [p.name for p in store.strays()] == [f"{key.name}.json"]


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(engines.os, "fsync", full)
    with pytest.raises(EngineError, match=r"cannot be written \(No space left on device\); it takes 0 MB") as caught:
        EngineStore(tmp_path).publish(make_key(), PLAN, BUILT)
    assert caught.value.code == "not-written"
    assert list(tmp_path.iterdir()) == []


def test_what_an_engine_was_built_for_is_said() -> None:
    found = make_key(target="sm_75", version="1.6").as_json()
    assert differences(found, make_key()) == ("tensorrt-rtx 1.6 (wanted: tensorrt-rtx 1.7.1), sm_75 (wanted: sm_86)")


def test_pruning_takes_what_cannot_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgedrag.runtime.backends.tensorrt.pruning.installed_version", lambda library: "1.7.1")
    store = EngineStore(tmp_path)
    kept, old = store.publish(make_key(), PLAN, BUILT), store.publish(make_key(version="1.6"), PLAN, BUILT)
    damaged = store.publish(make_key(target="sm_75"), PLAN, BUILT)
    damaged.path.write_bytes(b"short")
    (tmp_path / f"x{engines.PARTIAL}").write_bytes(b"half")
    reasons = dict(prune(store))
    assert reasons[old.path.name] == "built with tensorrt-rtx 1.6, 1.7.1 is installed"
    assert reasons[damaged.path.name].startswith("5 bytes")
    assert reasons[f"x{engines.PARTIAL}"].startswith("left over")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([kept.path.name, f"{kept.path.stem}.json"])
    assert [name for name, _ in prune(store, everything=True)] == [kept.path.name]


def test_the_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EDGEDRAG_ENGINES", raising=False)
    monkeypatch.delenv("EDGEDRAG_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert engines.default_folder() == tmp_path / "edgedrag" / "engines"
    monkeypatch.setenv("EDGEDRAG_ENGINES", str(tmp_path / "own"))
    assert EngineStore().folder == tmp_path / "own"
    (tmp_path / "own").write_text("")
    with pytest.raises(InputError, match="is a file"):
        EngineStore()


def lookup(store: EngineStore, **changes: str) -> EngineLookup:
    return EngineLookup(**{"store": store, "library": "tensorrt-rtx", "version": "1.7.1", "target": "sm_86"} | changes)


def fill(store: EngineStore, sizes: list[tuple[int, int]]) -> None:
    bundle, found = open_bundle("embedded"), lookup(store)
    for size in sizes:
        for graph, variant in engine_files(bundle, "int8"):
            store.publish(found.key(bundle, graph, variant, "int8", size), PLAN, BUILT)


def test_a_device_serves_the_sizes_that_it_has_all_engines_for(tmp_path: Path) -> None:
    store, bundle = EngineStore(tmp_path), open_bundle("embedded")
    fill(store, [(256, 256), (256, 192)])
    assert lookup(store).sizes(bundle, "int8") == [(256, 256), (256, 192)]
    graph, variant = engine_files(bundle, "int8")[2]
    store.remove(lookup(store).find(bundle, graph, variant, "int8", (256, 256)))
    assert lookup(store).sizes(bundle, "int8") == [(256, 192)]


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"version": "1.8.0"}, "engine-version", "built for tensorrt-rtx 1.7.1 (wanted: tensorrt-rtx 1.8.0)"),
        ({"target": "sm_89"}, "engine-target", "built for sm_86 (wanted: sm_89)"),
        ({"library": "tensorrt", "version": "10.3"}, "engine-library", "(wanted: tensorrt)"),
    ],
)
def test_engines_of_something_else_are_named_with_what_to_do(
    tmp_path: Path, changes: dict[str, str], code: str, said: str
) -> None:
    store, bundle = EngineStore(tmp_path), open_bundle("embedded")
    fill(store, [(256, 256)])
    with pytest.raises(EngineError) as caught:
        lookup(store, **changes).sizes(bundle, "int8")
    assert caught.value.code == code and said in str(caught.value)
    assert f"edgedrag engines build {bundle.folder} --engine" in str(caught.value) and str(tmp_path) in str(
        caught.value
    )


def test_nothing_built_another_precision_and_a_damaged_engine(tmp_path: Path) -> None:
    store, bundle = EngineStore(tmp_path), open_bundle("embedded")
    with pytest.raises(
        EngineError, match="no engines of bundle 'embedded'; build it: `edgedrag engines build"
    ) as caught:
        lookup(store).sizes(bundle, "int8")
    assert caught.value.code == "no-engines"
    fill(store, [(256, 256)])
    with pytest.raises(EngineError, match="int8 \\(wanted: fp16\\)") as caught:
        lookup(store).sizes(bundle, "fp16")
    assert caught.value.code == "engine-stale"
    graph, variant = engine_files(bundle, "int8")[0]
    stored = lookup(store).find(bundle, graph, variant, "int8", (256, 256))
    stored.path.write_bytes(PLAN[::-1])
    with pytest.raises(EngineError, match="its bytes are not those that were built; build it") as caught:
        lookup(store).find(bundle, graph, variant, "int8", (256, 256))
    assert caught.value.code == "engine-damaged"
