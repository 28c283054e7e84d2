"""Puts a hold's graphs into a bundle, in place of those that it has; all other files stay as they are.

python tools/add_hold.py runtime/bundles/embedded generator/checkpoints/hold.safetensors
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from edgedrag.calibration.writer import in_every_precision
from edgedrag.export.bundle_writer import new_bundle, write_manifest
from edgedrag.export.hold import write_hold
from edgedrag.runtime.bundle.graphs import HOLD
from edgedrag.runtime.bundle.manifest import open_bundle


def add_hold(folder: Path, source: Path) -> None:
    """See `write_hold` for what the source may be; a bundle with INT8 gets the hold in every precision."""
    bundle = open_bundle(folder)
    old = {variant.file for _, graph in bundle.graphs((HOLD,)) for variant in graph.variants}
    names = {graph.name for _, graph in bundle.graphs((HOLD,))}
    with new_bundle(folder) as aside:
        for file in folder.iterdir():
            if file.name not in old:
                shutil.copy(file, aside / file.name)
        manifest = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
        provenance = manifest["provenance"]
        provenance["parity"] = [row for row in provenance["parity"] if row["graph"] not in names]
        manifest |= write_hold(source, aside, manifest["stages"], provenance["parity"])
        if "recipe" in manifest:
            for graph in manifest["stages"][HOLD]:
                graph["variants"] += in_every_precision(graph["variants"])
        write_manifest(aside, manifest)


if __name__ == "__main__":
    add_hold(Path(sys.argv[1]), Path(sys.argv[2]))
