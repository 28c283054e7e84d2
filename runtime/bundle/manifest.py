"""A bundle: a folder of graphs and the manifest `bundle.json` that says what they are.

The format is described in docs/bundle.md and defined by bundle.schema.json. What is not
understood is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedrag.runtime.bundle.consistency import check_consistency
from edgedrag.runtime.bundle.external_data import check_external_data
from edgedrag.runtime.bundle.graph_inputs import PHOTO_AND_MASK_INPUTS
from edgedrag.runtime.bundle.graphs import STAGES, Graph, Size, Tensor, Variant, hold_sizes, parse_graph, sizes_of
from edgedrag.runtime.bundle.installed import installed_folder, installed_names
from edgedrag.runtime.bundle.validation import validate
from edgedrag.runtime.errors import BundleError
from edgedrag.runtime.files import sha256_of

FORMAT_VERSION = 2
MAX_MANIFEST_BYTES = 8 * 1024 * 1024
SHIPPED = Path(__file__).parents[1] / "bundles"


@dataclass(frozen=True)
class Bundle:
    """An opened manifest; graph files are read, and their hashes checked, by `verified_file`."""

    folder: Path
    manifest: dict[str, Any]
    stages: dict[str, tuple[Graph, ...]]

    @property
    def name(self) -> str:
        return self.manifest["name"]

    @property
    def sampler(self) -> dict[str, Any]:
        return self.manifest["sampler"]

    @property
    def sizes(self) -> list[Size]:
        """The generator sizes (H, W) that the window policy allows."""
        return sizes_of(self.manifest, "reference")

    @property
    def hold_sizes(self) -> list[list[Size]]:
        """The sizes (H, W) at which the hold looks at a photo, for each aspect; none where it has no such stage."""
        return hold_sizes(self.manifest)

    def sizes_of(self, stage: str) -> list[Size]:
        """The sizes (H, W) that a stage's graphs run at."""
        return sizes_of(self.manifest, stage)

    def graphs(self, stages: Sequence[str] = STAGES) -> Iterator[tuple[str, Graph]]:
        """Stage and graph, in the order in which they run."""
        for stage in stages:
            for graph in self.stages[stage]:
                yield stage, graph

    def outputs_of(self, stage: str) -> dict[str, Tensor]:
        return {t.name: t for graph in self.stages[stage] for t in graph.outputs}

    @property
    def masked_tensors(self) -> frozenset[str]:
        """What graphs of the `drag` stage make of the photo and the mask alone: the same for all points."""
        known = set(self.outputs_of("reference")) | PHOTO_AND_MASK_INPUTS
        made: set[str] = set()
        for graph in self.stages["drag"]:
            if {t.name for t in graph.inputs} <= known | made:
                made |= {t.name for t in graph.outputs}
        return frozenset(made)

    @property
    def makes_flow(self) -> bool:
        """Whether a graph makes the flow that the photo's own pixels move by."""
        return "flow" in self.outputs_of("drag")

    @property
    def moves_held(self) -> bool:
        """Whether they move by the runtime's flow, of what the drags hold."""
        return not self.makes_flow and any(t.name == "flow" for graph in self.stages["drag"] for t in graph.inputs)

    @property
    def gives_flow(self) -> bool:
        return self.makes_flow or self.moves_held

    def verified_file(self, variant: Variant) -> Path:
        """The path of a graph file after its hash, and those of its external data, were checked.

        Raises:
            BundleError: a file is missing, outside the folder, or not the one that was exported; or the graph
                takes weights from elsewhere than the manifest says.
        """
        for name, expected in ((variant.file, variant.sha256), *variant.external):
            self._verify(name, expected)
        file = self.folder / variant.file
        check_external_data(file, {name: (self.folder / name).stat().st_size for name, _ in variant.external})
        return file

    def verified_recipe(self) -> Path:
        """The same for the recipe of the INT8 variants, where there are any."""
        return self._verified_entry("recipe")

    def verified_golden(self) -> Path:
        """The same for the golden drag, where there is one."""
        return self._verified_entry("golden")

    def _verified_entry(self, name: str) -> Path:
        entry = self.manifest[name]
        self._verify(entry["file"], entry["sha256"])
        return self.folder / entry["file"]

    def _verify(self, name: str, expected: str) -> None:
        path = self.folder / name
        if path.is_symlink() or not path.is_file():
            raise BundleError(f"{path}: file of bundle '{self.name}' is missing; install or copy the bundle again")
        found = sha256_of(path)
        if found != expected:
            raise BundleError(
                f"{path}: damaged or changed since export (SHA-256 {found[:12]}..., "
                f"manifest says {expected[:12]}...); install or copy the bundle again"
            )


def find_bundle(bundle: str | Path) -> Path:
    """The folder of a bundle given by path, by the name of an installed one, or of one that ships with edgedrag."""
    folder = Path(bundle)
    if folder.is_dir():
        return folder
    installed = installed_folder(str(bundle))
    if installed is not None:
        return installed
    if is_shipped(str(bundle)):
        return SHIPPED / str(bundle)
    shipped = sorted(p.name for p in SHIPPED.iterdir() if p.is_dir()) if SHIPPED.is_dir() else []
    names = f"bundles that ship with edgedrag: {', '.join(shipped) or 'none'}"
    installed_too = f"; installed: {', '.join(installed_names())}" if installed_names() else ""
    raise BundleError(f"{bundle}: no such bundle folder; {names}{installed_too}")


def is_shipped(name: str) -> bool:
    """Whether a bundle of this name ships with edgedrag."""
    return Path(name).name == name and (SHIPPED / name).is_dir()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read and validate `bundle.json`.

    Raises:
        BundleError: absent, too large, not JSON, of another format, or not as the schema says.
    """
    path = folder / "bundle.json"
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise BundleError(f"{path}: larger than {MAX_MANIFEST_BYTES >> 20} MiB; this is no manifest")
        text = path.read_bytes()
        manifest = json.loads(text.decode("utf-8"))
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not JSON ({error})") from None
    if not isinstance(manifest, dict) or manifest.get("format") != "edgedrag-bundle":
        raise BundleError(f"{path}: not the manifest of an edgedrag bundle")
    version = manifest.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise BundleError(f"{path}: bundle format {version}, this edgedrag reads {FORMAT_VERSION}; upgrade edgedrag")
    if isinstance(version, int) and not isinstance(version, bool) and version < FORMAT_VERSION:
        raise BundleError(
            f"{path}: bundle format {version}, this edgedrag reads {FORMAT_VERSION}; export the weights anew: "
            f"`edgedrag bundle export CHECKPOINT -o {folder}`"
        )
    validate(path, text, manifest)
    return manifest


def open_bundle(bundle: str | Path) -> Bundle:
    """Open a bundle by folder or name and check that its graphs fit together.

    Raises:
        BundleError: see `read_manifest`; or an input that nothing supplies, a shape without
            sense, a loop tensor without a start.
    """
    folder = find_bundle(bundle)
    manifest = read_manifest(folder)
    stages = {stage: tuple(parse_graph(g) for g in manifest["stages"].get(stage, ())) for stage in STAGES}
    check_consistency(folder, manifest, stages)
    return Bundle(folder, manifest, stages)
