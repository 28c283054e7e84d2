"""A bundle: a folder of graphs and the manifest `bundle.json` that says what they are.

The format is described in docs/bundle.md and defined by bundle.schema.json. What is not
understood is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import fastjsonschema
import numpy as np

from edgedrag.runtime.bundle.external_data import check_external_data
from edgedrag.runtime.errors import BundleError
from edgedrag.runtime.files import sha256_of
from edgedrag.runtime.sampling.sampler import most_steps

FORMAT_VERSION = 1
MAX_MANIFEST_BYTES = 8 * 1024 * 1024
MAX_TENSOR_ELEMENTS = 2**30
STAGES = ("reference", "drag", "denoise", "decode")
SHIPPED = Path(__file__).parents[1] / "bundles"

# The closed list of inputs that the runtime makes, and the stages that may ask for each.
SUPPLIED = {
    "image": STAGES,
    "clip_image": STAGES,
    "mask": STAGES[1:],
    "masked_image": STAGES[1:],
    "handle_map": STAGES[1:],
    "target_map": STAGES[1:],
    "points": STAGES[1:],
    "prior_flow": STAGES[1:],
    "noise": ("drag", "denoise"),
    "coefficients": ("drag", "denoise"),
    "timestep": ("denoise",),
    "guidance": ("denoise",),
}
PHOTO_AND_MASK = {"image", "clip_image", "mask", "masked_image"}


@dataclass(frozen=True)
class Tensor:
    """A named input or output of a graph; a size is a number or a symbol such as "H/8"."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    meaning: str

    def concrete(self, sizes: dict[str, int]) -> tuple[int, ...]:
        """The shape with symbols H, W, N replaced."""

        def size(dim: int | str) -> int:
            if isinstance(dim, int):
                return dim
            symbol, _, divisor = dim.partition("/")
            return sizes[symbol] // int(divisor or 1)

        return tuple(size(d) for d in self.shape)


@dataclass(frozen=True)
class Variant:
    """One file of a graph: a precision, an engine's placement, a guidance branch."""

    precision: str
    placement: str
    branch: str
    file: str
    sha256: str
    external: tuple[tuple[str, str], ...]

    def nbytes(self, folder: Path) -> int:
        """Of the file and the weights beside it, in a bundle's folder."""
        return sum((folder / name).stat().st_size for name in (self.file, *dict(self.external)))


@dataclass(frozen=True)
class Graph:
    """A graph of a stage, in the order in which the stage runs them."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    variants: tuple[Variant, ...]
    cost: dict[str, Any]
    pair_cost: dict[str, Any] | None = None

    def files(self, precision: str, placement: str) -> dict[str, Variant]:
        """The files of a precision, by branch: those placed for an engine, else, but for INT8, those that all run."""
        general = placement if precision == "int8" else "ort"
        usable = [v for v in self.variants if v.precision == precision and v.placement in (placement, general)]
        return {v.branch: v for v in sorted(usable, key=lambda v: v.placement == placement)}

    @property
    def file_outputs(self) -> dict[str, str]:
        """Output name -> its name in the file: an output that replaces an input is X_next there."""
        inputs = {t.name for t in self.inputs}
        return {t.name: f"{t.name}_next" if t.name in inputs else t.name for t in self.outputs}


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
    def sizes(self) -> list[tuple[int, int]]:
        """The generator sizes (H, W) that the window policy allows."""
        return [(h, w) for h, w in self.manifest["window"]["sizes"]]

    def graphs(self) -> Iterator[tuple[str, Graph]]:
        for stage in STAGES:
            for graph in self.stages[stage]:
                yield stage, graph

    def outputs_of(self, stage: str) -> dict[str, Tensor]:
        return {t.name: t for graph in self.stages[stage] for t in graph.outputs}

    @property
    def masked_tensors(self) -> frozenset[str]:
        """What the `drag` stage makes of the photo and the mask alone, so that other points leave it as it is."""
        known = set(self.outputs_of("reference")) | PHOTO_AND_MASK
        made: set[str] = set()
        for graph in self.stages["drag"]:
            if {t.name for t in graph.inputs} <= known | made:
                made |= {t.name for t in graph.outputs}
        return frozenset(made)

    @property
    def gives_flow(self) -> bool:
        return "flow" in self.outputs_of("drag")

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


@cache
def _validate() -> Callable[[Any], Any]:
    schema = json.loads(Path(__file__).with_name("bundle.schema.json").read_text())
    return fastjsonschema.compile(schema)


def find_bundle(bundle: str | Path) -> Path:
    """The folder of a bundle given by path, or by the name of one that ships with edgedrag."""
    folder = Path(bundle)
    if folder.is_dir():
        return folder
    shipped = SHIPPED / str(bundle)
    if folder.name == str(bundle) and shipped.is_dir():
        return shipped
    names = sorted(p.name for p in SHIPPED.iterdir() if p.is_dir()) if SHIPPED.is_dir() else []
    raise BundleError(f"{bundle}: no such bundle folder; bundles that ship with edgedrag: {', '.join(names) or 'none'}")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read and validate `bundle.json`.

    Raises:
        BundleError: absent, too large, not JSON, of a newer format, or not as the schema says.
    """
    path = folder / "bundle.json"
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise BundleError(f"{path}: larger than {MAX_MANIFEST_BYTES >> 20} MiB; this is no manifest")
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not JSON ({error})") from None
    if not isinstance(manifest, dict) or manifest.get("format") != "edgedrag-bundle":
        raise BundleError(f"{path}: not the manifest of an edgedrag bundle")
    version = manifest.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise BundleError(
            f"{path}: bundle format {version}, this edgedrag reads up to {FORMAT_VERSION}; "
            "upgrade with `pip install --upgrade edgedrag`"
        )
    try:
        _validate()(manifest)
    except fastjsonschema.JsonSchemaValueException as error:
        raise BundleError(f"{path}: {error.message.replace('data.', '').replace('data ', 'the manifest ')}") from None
    return manifest


def open_bundle(bundle: str | Path) -> Bundle:
    """Open a bundle by folder or shipped name and check that its graphs fit together.

    Raises:
        BundleError: see `read_manifest`; or an input that nothing supplies, a shape without
            sense, a loop tensor without a start.
    """
    folder = find_bundle(bundle)
    manifest = read_manifest(folder)
    stages = {stage: tuple(_graph(g) for g in manifest["stages"][stage]) for stage in STAGES}
    opened = Bundle(folder, manifest, stages)
    _check_symbols(opened)
    _check_joints(opened)
    _check_sampler(opened)
    return opened


def _graph(entry: dict[str, Any]) -> Graph:
    def tensors(key: str) -> tuple[Tensor, ...]:
        return tuple(Tensor(t["name"], t["dtype"], tuple(t["shape"]), t["meaning"]) for t in entry[key])

    variants = tuple(
        Variant(
            v["precision"],
            v["placement"],
            v.get("branch", "single"),
            v["file"],
            v["sha256"],
            tuple((e["file"], e["sha256"]) for e in v.get("external", ())),
        )
        for v in entry["variants"]
    )
    return Graph(entry["name"], tensors("inputs"), tensors("outputs"), variants, entry["cost"], entry.get("pair_cost"))


def _check_symbols(bundle: Bundle) -> None:
    symbols = bundle.manifest["symbols"]
    for h, w in bundle.sizes:
        for symbol, size in (("H", h), ("W", w)):
            bound = symbols[symbol]
            if not bound["minimum"] <= size <= bound["maximum"] or size % bound["multiple"]:
                raise BundleError(f"{bundle.folder}: window size {h} x {w} breaks the bounds of {symbol}: {bound}")
    largest = {k: v["maximum"] for k, v in symbols.items()}
    for _, graph in bundle.graphs():
        for tensor in graph.inputs + graph.outputs:
            for dim in tensor.shape:
                symbol, _, divisor = str(dim).partition("/")
                if isinstance(dim, str) and (symbol not in symbols or symbols[symbol]["multiple"] % int(divisor or 1)):
                    raise BundleError(f"{bundle.folder}: tensor '{tensor.name}': {dim} is not a whole size")
            if np.prod(tensor.concrete(largest), dtype=np.float64) > MAX_TENSOR_ELEMENTS:
                raise BundleError(f"{bundle.folder}: tensor '{tensor.name}' has an absurd shape {tensor.shape}")


def _check_joints(bundle: Bundle) -> None:
    """Every input is made by an earlier graph, or by the runtime; `decode` ends in a picture."""
    made: dict[str, Tensor] = {}
    for stage, graph in bundle.graphs():
        for tensor in graph.inputs:
            if tensor.name in made:
                if (tensor.shape, tensor.dtype) != (made[tensor.name].shape, made[tensor.name].dtype):
                    raise BundleError(f"{bundle.folder}: '{tensor.name}' changes shape or dtype before '{graph.name}'")
            elif stage not in SUPPLIED.get(tensor.name, ()):
                raise BundleError(
                    f"{bundle.folder}: nothing supplies the input '{tensor.name}' of '{graph.name}' in stage '{stage}'"
                )
            elif tensor.name == "clip_image" and "clip_image" not in bundle.manifest["inputs"]:
                raise BundleError(f"{bundle.folder}: 'clip_image' is used, but `inputs` does not say how to make it")
        if stage == "denoise":
            unknown = [t.name for t in graph.outputs if t.name not in made]
            if unknown:
                raise BundleError(f"{bundle.folder}: 'denoise' returns {unknown}, which has no value before the loop")
        made.update({t.name: t for t in graph.outputs})
    if made.get("result") is None or made["result"].shape != (1, 3, "H", "W"):
        raise BundleError(f"{bundle.folder}: 'decode' must make 'result' of shape [1, 3, H, W]")
    for name, channels in (("flow", 2), ("revealed", 1)):
        optional = bundle.outputs_of("drag").get(name)
        if optional and optional.shape != (1, channels, "H", "W"):
            raise BundleError(f"{bundle.folder}: '{name}' must have shape [1, {channels}, H, W]")


def _check_sampler(bundle: Bundle) -> None:
    sampler = bundle.sampler
    if ("timesteps" in sampler) == ("spacing" in sampler):
        raise BundleError(f"{bundle.folder}: the sampler must have one of timesteps and spacing")
    if "spacing" in sampler and sampler["method"] != "ddim":
        raise BundleError(f"{bundle.folder}: the sampler's spacing is for ddim, its method is {sampler['method']}")
    steps = sampler.get("timesteps", [0])
    if any(a <= b for a, b in pairwise(steps)) or steps[0] >= len(sampler["alphas"]):
        raise BundleError(f"{bundle.folder}: the sampler's timesteps must fall, from below {len(sampler['alphas'])}")
    if sampler.get("start_timestep", 0) >= len(sampler["alphas"]):
        raise BundleError(f"{bundle.folder}: the sampler's start_timestep is not below {len(sampler['alphas'])}")
    if sampler["default_steps"] > most_steps(sampler):
        raise BundleError(
            f"{bundle.folder}: default_steps is more than the {most_steps(sampler)} timesteps of the grid"
        )
