"""A model repository for the Triton Inference Server: its Python backend with our runtime and a bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgedrag.runtime.bundle.manifest import Bundle, open_bundle
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import aside_folder, make_folder, move_folder, remove_leftovers
from edgedrag.runtime.options import RuntimeOptions
from edgedrag.runtime.releases.install import files, verify

MODEL = Path(__file__).with_name("triton_model.py")
CONFIG = """\
# Written by `edgedrag bundle triton`. Sizes are in pixels of the photo; docs/triton.md.
name: "{name}"
backend: "python"
max_batch_size: 0  # a drag has one photo; several requests take turns
input [
  {{ name: "photo" data_type: TYPE_UINT8 dims: [ -1, -1, 3 ] }},
  {{ name: "drags" data_type: TYPE_FP32 dims: [ -1, 4 ] }},
  {{ name: "mask" data_type: TYPE_UINT8 dims: [ -1, -1 ] optional: true }},
  {{ name: "steps" data_type: TYPE_INT32 dims: [ 1 ] optional: true }},
  {{ name: "seed" data_type: TYPE_INT64 dims: [ 1 ] optional: true }}
]
output [
  {{ name: "image" data_type: TYPE_UINT8 dims: [ -1, -1, 3 ] }},
  {{ name: "used_mask" data_type: TYPE_UINT8 dims: [ -1, -1 ] }},
  {{ name: "verdict" data_type: TYPE_STRING dims: [ 1 ] }},
  {{ name: "reasons" data_type: TYPE_STRING dims: [ -1 ] }},
  {{ name: "landing_error_px" data_type: TYPE_FP32 dims: [ 1 ] }}
]
instance_group [ {{ count: 1 kind: {kind} }} ]
parameters [
  {{ key: "backend" value: {{ string_value: "{backend}" }} }},
  {{ key: "precision" value: {{ string_value: "{precision}" }} }}
]
"""


def write_repository(repository: Path, options: RuntimeOptions, name: str | None = None) -> Path:
    """Write a bundle as a model of a repository, whole or not at all; returns the model's folder.

    Args:
        options: the bundle, and the backend and precision that Triton's instance opens.
        name: of the model; the bundle's where None.

    Raises:
        BundleError: the bundle is missing or damaged.
        InputError: the repository cannot be written to, or has another model of this name.
    """
    bundle = open_bundle(options.bundle)
    verify(bundle)
    make_folder(repository)
    model = repository / (name or bundle.name)
    if model.exists() and not (model / "1" / "bundle" / "bundle.json").is_file():
        raise InputError(f"{model}: exists and is not a model that edgedrag wrote; give another --name")
    remove_leftovers(repository)
    with aside_folder(repository) as aside:
        (aside / "config.pbtxt").write_text(config(model.name, options), encoding="utf-8")
        _write_version(bundle, aside / "1")
        move_folder(aside, model)
    return model


def config(name: str, options: RuntimeOptions) -> str:
    """The text of config.pbtxt."""
    kind = "KIND_GPU" if options.backend in ("cuda", "tensorrt", "tensorrt-rtx") else "KIND_CPU"
    return CONFIG.format(name=name, kind=kind, backend=options.backend, precision=options.precision)


def _write_version(bundle: Bundle, folder: Path) -> None:
    (folder / "bundle").mkdir(parents=True)
    shutil.copyfile(MODEL, folder / "model.py")
    for file in ("bundle.json", *files(bundle)):
        shutil.copyfile(bundle.folder / file, folder / "bundle" / file)
