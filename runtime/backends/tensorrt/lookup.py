"""The engines of one library on one GPU: found for a bundle, or the reason why there is none and what to do."""

from __future__ import annotations

from dataclasses import dataclass

from edgedrag.runtime.backends.tensorrt.cache import (
    EngineKey,
    EngineStore,
    EngineTarget,
    Size,
    StoredEngine,
    differences,
    engine_key,
)
from edgedrag.runtime.backends.tensorrt.library import BUILD_OPTIONS
from edgedrag.runtime.bundle.graphs import DRAG_STAGES, Graph, Variant
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.codes import Code
from edgedrag.runtime.errors import EngineError

# Parts of a key that an installation decides, the first to be named first.
BUILT_FOR = {"library": Code.ENGINE_LIBRARY, "target": Code.ENGINE_TARGET, "version": Code.ENGINE_VERSION}


@dataclass(frozen=True)
class EngineLookup:
    """A cache, and what its engines have to be for: library, its version, the GPU's generation."""

    store: EngineStore
    library: str
    version: str
    target: str

    def key(self, bundle: Bundle, graph: Graph, variant: Variant, precision: str, size: Size) -> EngineKey:
        built_for = EngineTarget(self.library, self.version, self.target, BUILD_OPTIONS[self.library])
        return engine_key(bundle, graph, variant, precision, size, built_for)

    def find(self, bundle: Bundle, graph: Graph, variant: Variant, precision: str, size: Size) -> StoredEngine:
        """A whole engine. Raises EngineError where there is none; says what there is, and the command to build it."""
        key = self.key(bundle, graph, variant, precision, size)
        stored = self.store.find(key)
        if stored is None:
            raise self._missing(bundle, key)
        fault = stored.fault()
        if fault is not None:
            raise EngineError(f"{stored.path}: {fault}; {self._rebuild(bundle, precision)}", Code.ENGINE_DAMAGED)
        return stored

    def sizes(self, bundle: Bundle, precision: str) -> list[Size]:
        """The window sizes that every graph of a drag has an engine for. Raises EngineError where there are none."""
        absent = {size: self._absent(bundle, precision, size) for size in bundle.sizes}
        served = [size for size, keys in absent.items() if not keys]
        if not served:
            raise self._missing(bundle, next(keys[0] for keys in absent.values()))
        return served

    def _absent(self, bundle: Bundle, precision: str, size: Size) -> list[EngineKey]:
        """The keys of the engines of a drag that are not in the cache, at one size."""
        keys = [self.key(bundle, graph, variant, precision, size) for graph, variant in engine_files(bundle, precision)]
        return [key for key in keys if self.store.find(key) is None]

    def _missing(self, bundle: Bundle, key: EngineKey) -> EngineError:
        """No engine for a key: what there is in its place, and what to do."""
        command, wanted = self._rebuild(bundle, key.precision), key.as_json()
        others = [stored.manifest["key"] for stored in self.store.relatives(key)]
        if not others:
            return EngineError(f"{self.store.folder}: no engines of bundle '{bundle.name}'; {command}", Code.NO_ENGINES)
        nearest = max(others, key=lambda found: sum(found.get(part) == value for part, value in wanted.items()))
        parts = [part for part in BUILT_FOR if nearest.get(part) != wanted[part]]
        return EngineError(
            f"{self.store.folder}: the engine of '{key.graph}' was built for {differences(nearest, key)}; {command}",
            BUILT_FOR[parts[0]] if parts else Code.ENGINE_STALE,
        )

    def _rebuild(self, bundle: Bundle, precision: str) -> str:
        target = f" --target {self.target}" if self.library == "tensorrt-rtx" else ""
        return (
            f"build it: `edgedrag engines build {bundle.folder} --engine {self.library}{target} "
            f"--precision {precision} -o {self.store.folder}`"
        )


def engine_files(bundle: Bundle, precision: str) -> list[tuple[Graph, Variant]]:
    """The files that a drag's engines are built from in a precision: each branch of each graph."""
    return [
        (graph, variant)
        for _, graph in bundle.graphs(DRAG_STAGES)
        for variant in graph.files(precision, "tensorrt").values()
    ]
