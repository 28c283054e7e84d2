"""ONNX against PyTorch: the shipped bundle against its checkpoint, and a fresh export."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import edgedrag
from edgedrag.export.embedded import GRAPHS, PARITY_SIZES, GraphSpec, example_inputs, export_embedded, traced
from edgedrag.export.parity import snr_db
from edgedrag.export.traced_graph import parity
from edgedrag.generator.networks.checkpoint_file import save_checkpoint
from edgedrag.generator.networks.embedded import EmbeddedConfig, EmbeddedGenerator
from edgedrag.generator.training.checkpoint import SHIPPED, load_checkpoint
from edgedrag.runtime.bundle.describe import cost_at
from edgedrag.runtime.bundle.manifest import open_bundle
from edgedrag.runtime.drag.blend import reveal_weight
from edgedrag.runtime.drag.composite import compose
from edgedrag.runtime.drag.run import DragRun
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.sampling.sampler import make_table

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shipped() -> EmbeddedGenerator:
    return load_checkpoint(SHIPPED)[0]


@pytest.mark.parametrize("size", PARITY_SIZES)
@pytest.mark.parametrize("spec", GRAPHS, ids=lambda s: s.name)
def test_shipped_graphs_equal_the_checkpoint(
    shipped: EmbeddedGenerator, spec: GraphSpec, size: tuple[int, int]
) -> None:
    file, graph = open_bundle("embedded").folder / f"{spec.name}.onnx", traced(spec, shipped)
    assert parity(graph, file, example_inputs(shipped, graph.inputs, *size, seed=sum(size))) >= 60


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a narrow generator with random weights."""
    folder = tmp_path_factory.mktemp("export")
    generator = EmbeddedGenerator(EmbeddedConfig((16, 24, 32), (1, 1, 1), (1, 1, 1, 1), (1, 1, 1)))
    save_checkpoint(generator, folder / "weights.safetensors", {"steps": "0", "training_data_sha256": "0" * 64})
    export_embedded(folder / "weights.safetensors", folder / "bundle", {"made_up_db": 1.5})
    return folder / "bundle"


def test_export_makes_a_bundle_that_edits(small: Path) -> None:
    bundle = open_bundle(small)
    manifest = bundle.manifest
    assert manifest["provenance"]["figures"] == {"made_up_db": 1.5}
    assert len(manifest["provenance"]["parity"]) == len(GRAPHS) * len(PARITY_SIZES)
    assert all(p["snr_db"] >= 60 for p in manifest["provenance"]["parity"])
    photo = np.random.default_rng(0).integers(0, 255, (200, 260, 3), dtype=np.uint8)
    edit = edgedrag.open(small).load(photo).drag([((90, 90), (100, 90))])
    assert np.array_equal(edit.image[~edit.mask], photo[~edit.mask])


def test_graphs_are_what_every_engine_parses(small: Path) -> None:
    for file in small.glob("*.onnx"):
        model = onnx.load(file)
        assert [(o.domain, o.version) for o in model.opset_import if not o.domain] == [("", 18)]
        assert all(node.domain == "" for node in model.graph.node)
        assert not any(str(Path.home()) in text for text in (str(model.metadata_props), model.doc_string))


def test_costs_hold_at_any_size(small: Path) -> None:
    """The encoder's first convolution by hand, then the whole at twice the area."""
    encoder = open_bundle(small).stages["reference"][0]
    flops = encoder.cost["flops"]
    assert flops[2] == 0
    assert cost_at(flops, 512, 256) == pytest.approx(2 * cost_at(flops, 256, 256))
    first = 2 * 9 * 48 * 16 * 64 * 64
    assert first < cost_at(flops, 256, 256) < 40 * first


def test_what_cannot_be_exported(tmp_path: Path, small: Path) -> None:
    with pytest.raises(InputError, match="not a checkpoint"):
        export_embedded(tmp_path / "none.safetensors", tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("keep")
    with pytest.raises(InputError, match="is not a bundle"):
        export_embedded(small.parent / "weights.safetensors", tmp_path / "mine")
    with pytest.raises(InputError, match="no such folder"):
        export_embedded(small.parent / "weights.safetensors", tmp_path / "no" / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_parity_of_equal_and_different() -> None:
    a = np.array([1.0, 2.0])
    assert snr_db(a, a) == 200
    assert snr_db(a, a * 1.01) == pytest.approx(40, abs=0.1)


def test_manifest_states_the_checkpoint_that_ships() -> None:
    from edgedrag.runtime.files import sha256_of

    manifest = json.loads((open_bundle("embedded").folder / "bundle.json").read_text())
    assert manifest["provenance"]["checkpoint_sha256"] == sha256_of(SHIPPED)


def test_another_seed_changes_revealed_areas_and_nothing_else(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    """A long drag of the cat's face: something is revealed, and only there does the noise show."""
    window = cat[:256, :384]
    mask = np.zeros(window.shape[:2], bool)
    mask[60:, 100:330] = True
    points = np.array([[170.0, 150, 225, 165]])
    table = make_table(runtime.bundle.sampler, 1)
    runs = [DragRun(runtime.bundle, runtime.stages, window, mask, points).run(table, seed) for seed in (0, 1)]
    assert runs[0].flow is not None and runs[0].revealed is not None and np.array_equal(runs[0].flow, runs[1].flow)
    first, second = (compose(window, mask, generated) for generated in runs)
    changed = (first != second).any(-1)
    drawn = reveal_weight(runs[0].revealed)[..., 0] > 0
    assert changed.any() and not (changed & ~drawn).any()
    assert (mask & ~drawn).any(), "not all of the mask is generated"


@pytest.mark.parametrize("name", ["teacher", "regression"])
def test_the_relatives_share_appearance_and_motion_with_the_shipped_one(shipped: EmbeddedGenerator, name: str) -> None:
    relative, metadata = load_checkpoint(SHIPPED.with_name(f"{name}.safetensors"))
    own, other = shipped.state_dict(), relative.state_dict()
    apart = {
        k.split(".")[0] for k in own if not torch.equal(own[k], other[k]) and not k.startswith("motion.gate_head.")
    }
    assert apart == {"condition", "denoiser"}
    assert metadata["objective"] == {"teacher": "diffusion", "regression": "regression"}[name]
