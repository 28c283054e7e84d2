"""The cache of built engines: what an engine depends on, where it lies, whether it is whole.

An engine is two files: NAME.engine, and NAME.json which says what it was made from and what it hashes to. It is found
by its key, so that an engine of other weights, another recipe, library, GPU or size is never taken for the one asked
for. Layout and publishing follow what is good practice for compiler caches: written aside, then renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedrag.runtime.bundle.graphs import Graph, Variant
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.codes import Code
from edgedrag.runtime.errors import EngineError, InputError
from edgedrag.runtime.files import PARTIAL, cache_folder, sha256_of, write_whole

FORMAT_VERSION = 1

Size = tuple[int, int]
ANY_SIZE = (0, 0)


def default_folder() -> Path:
    """The user's cache of engines: $EDGEDRAG_ENGINES, or edgedrag/engines in the system's cache folder."""
    chosen = os.environ.get("EDGEDRAG_ENGINES")
    return Path(chosen) if chosen else cache_folder() / "engines"


@dataclass(frozen=True)
class EngineKey:
    """All that an engine depends on.

    Attributes:
        onnx: SHA-256 of the graph's file and its external data.
        recipe: SHA-256 of the bundle's recipe where the graph is in INT8.
        library, version: "tensorrt" or "tensorrt-rtx", and which.
        target: the GPU's generation, as "sm_86".
        shapes: of the inputs: least, usual and largest; they differ in the number of drags alone.
        options: of the build.
    """

    bundle: str
    graph: str
    branch: str
    precision: str
    size: Size
    onnx: str
    recipe: str | None
    library: str
    version: str
    target: str
    shapes: Mapping[str, tuple[tuple[int, ...], ...]]
    options: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return json.loads(json.dumps(self.__dict__, sort_keys=True))

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()

    @property
    def name(self) -> str:
        """File name without its ending: to read, and unlike that of any other key."""
        size = "any" if self.size == ANY_SIZE else f"{self.size[0]}x{self.size[1]}"
        branch = "" if self.branch == "single" else f"-{self.branch}"
        return f"{self.bundle}-{self.graph}{branch}-{self.precision}-{size}-{self.target}-{self.digest[:16]}"


@dataclass(frozen=True)
class EngineTarget:
    """What engines are built for and with; fields as in EngineKey."""

    library: str
    version: str
    target: str
    options: tuple[str, ...]


def engine_key(
    bundle: Bundle, graph: Graph, variant: Variant, precision: str, size: Size, built_for: EngineTarget
) -> EngineKey:
    """The key of the engine of one graph file at one window size (H, W)."""
    size = size if depends_on_size(graph) else ANY_SIZE
    files = hashlib.sha256("".join([variant.sha256, *(digest for _, digest in variant.external)]).encode())
    recipe = bundle.manifest.get("recipe") if variant.precision == "int8" else None
    return EngineKey(
        bundle.name,
        graph.name,
        variant.branch,
        precision,
        size,
        files.hexdigest(),
        recipe["sha256"] if recipe else None,
        built_for.library,
        built_for.version,
        built_for.target,
        profile(bundle, graph, size),
        built_for.options,
    )


def depends_on_size(graph: Graph) -> bool:
    """Whether a graph's inputs have the window's size in them; one engine serves all sizes where not."""
    return any(isinstance(dim, str) and dim[0] in "HW" for t in graph.inputs for dim in t.shape)


def profile(bundle: Bundle, graph: Graph, size: Size) -> dict[str, tuple[tuple[int, ...], ...]]:
    """Least, usual and largest shape of each input at one size: only the number of drags is open."""
    most = bundle.manifest["symbols"].get("N", {}).get("maximum", 1)
    return {
        t.name: tuple(t.concrete({"H": size[0], "W": size[1], "N": n}) for n in (1, min(2, most), most))
        for t in graph.inputs
    }


@dataclass(frozen=True)
class StoredEngine:
    """An engine in the cache: its manifest, checked against the schema of this version."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def path(self) -> Path:
        return self.folder / self.manifest["file"]

    @property
    def facts(self) -> dict[str, Any]:
        """What the build said: seconds, weight_bytes, activation_bytes, int8_layers."""
        return self.manifest["built"]

    def fault(self) -> str | None:
        """What is wrong with the file, or None: it is there, whole, and the one that was built."""
        try:
            if self.path.stat().st_size != self.manifest["bytes"]:
                return f"{self.path.stat().st_size} bytes, {self.manifest['bytes']} were built"
            found = sha256_of(self.path)
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        return None if found == self.manifest["sha256"] else "its bytes are not those that were built"


class EngineStore:
    """A folder of engines."""

    def __init__(self, folder: Path | None = None):
        self.folder = folder or default_folder()
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"{self.folder}: is a file; engines need a folder")

    def find(self, key: EngineKey) -> StoredEngine | None:
        """The engine of a key, or None; whether its file is whole is for `StoredEngine.fault` to say."""
        stored = self._read(self.folder / f"{key.name}.json")
        return stored if stored is not None and stored.manifest["key"] == key.as_json() else None

    def entries(self) -> Iterator[StoredEngine]:
        """All engines, by name."""
        for path in sorted(self.folder.glob("*.json")):
            if (stored := self._read(path)) is not None:
                yield stored

    def strays(self) -> list[Path]:
        """Files that no manifest speaks for: of a build that was stopped, or that is running."""
        known = {s.path for s in self.entries()} | {s.path.with_suffix(".json") for s in self.entries()}
        kinds = ("*.engine", "*.json", f"*{PARTIAL}")
        return sorted({p for kind in kinds for p in self.folder.glob(kind)} - known)

    def publish(self, key: EngineKey, plan: memoryview | bytes, built: Mapping[str, Any]) -> StoredEngine:
        """Write an engine and then its manifest, each whole or not at all.

        Raises:
            EngineError: it cannot be written; says where, and how much room it takes.
        """
        manifest = {
            "format": "edgedrag-engine",
            "format_version": FORMAT_VERSION,
            "key": key.as_json(),
            "file": f"{key.name}.engine",
            "bytes": len(plan),
            "sha256": hashlib.sha256(plan).hexdigest(),
            "built": dict(built),
        }
        stored = StoredEngine(self.folder, manifest)
        try:
            write_whole(stored.path, plan, durable=True)
            write_whole(
                stored.path.with_suffix(".json"), (json.dumps(manifest, indent=1) + "\n").encode(), durable=True
            )
        except OSError as error:
            raise EngineError(
                f"{stored.path}: cannot be written ({error.strerror}); it takes {len(plan) / 1e6:.0f} MB, "
                f"{free_bytes(self.folder) / 1e6:.0f} MB are free",
                Code.NOT_WRITTEN,
            ) from None
        return stored

    def remove(self, stored: StoredEngine) -> None:
        """Delete an engine, its manifest first, so that nobody finds half of it."""
        stored.path.with_suffix(".json").unlink(missing_ok=True)
        stored.path.unlink(missing_ok=True)

    def relatives(self, key: EngineKey) -> list[StoredEngine]:
        """Engines of the same graph of a bundle of the same name, made for something else."""
        wanted = key.as_json()
        same = ("bundle", "graph", "branch")
        return [s for s in self.entries() if all(s.manifest["key"][k] == wanted[k] for k in same)]

    def _read(self, path: Path) -> StoredEngine | None:
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            known = manifest["format"] == "edgedrag-engine" and manifest["format_version"] == FORMAT_VERSION
            whole = (
                known and manifest["file"] == path.with_suffix(".engine").name and {"built", "bytes"} <= set(manifest)
            )
            return StoredEngine(self.folder, manifest) if whole and isinstance(manifest["key"], dict) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def differences(found: Mapping[str, Any], wanted: EngineKey) -> str:
    """What an engine was built for, where it differs from what is wanted, in words."""
    asked = wanted.as_json()
    wording: dict[str, Callable[[Any], str]] = {
        "version": lambda v: f"{found['library']} {v}",
        "library": str,
        "target": str,
        "size": lambda v: f"{v[0]} x {v[1]}",
        "precision": str,
        "onnx": lambda v: f"graph {v[:8]}",
        "recipe": lambda v: f"recipe {(v or 'none')[:8]}",
    }
    parts = [f"{word(found[k])} (wanted: {word(asked[k])})" for k, word in wording.items() if found.get(k) != asked[k]]
    return ", ".join(parts) or "other build options"
