"""Videos in, a bundle out, only where it got better; its hold is the network that was tuned."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from conftest import rewrite_manifest

from edgedrag.export.traced_graph import MIN_SNR_DB
from edgedrag.generator.hold.checkpoint import load_hold
from edgedrag.generator.hold.measure import LEVEL
from edgedrag.runtime.backends.onnxruntime import OnnxRuntimeCpu
from edgedrag.runtime.bundle.manifest import open_bundle
from edgedrag.runtime.drag.stages import Stages
from edgedrag.runtime.hold.run import HoldRun
from edgedrag.runtime.hold.view import PhotoView

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A textured plate that slides to and fro on a textured ground."""
    rng = np.random.default_rng(0)
    ground, plate = (cv2.resize(rng.integers(0, 255, (24, 24, 3), dtype=np.uint8), (320, 320)) for _ in range(2))
    file = tmp_path_factory.mktemp("site") / "line.mp4"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"mp4v"), 25, (320, 320))
    for i in range(80):
        frame, x = ground.copy(), 110 + round(40 * np.sin(i / 6))
        frame[110:210, x : x + 100] = plate[110:210, 110:210]
        writer.write(frame)
    writer.release()
    return file


OPTIONS = ("--updates", "8", "--count", "24", "--json")


@pytest.fixture(scope="module")
def site(edit_cli: Callable, clip: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A bundle tuned on the clip, beside its work, and what the command printed."""
    folder = tmp_path_factory.mktemp("tuned") / "site"
    done = edit_cli("learn", "finetune", clip, "-o", folder, *OPTIONS)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_a_sites_videos_become_a_bundle(edit_cli: Callable, clip: Path, site: tuple[Path, dict[str, Any]]) -> None:
    folder, printed = site
    figures = json.loads((folder.with_name("site.work") / "figures.json").read_text())
    assert printed == {"bundle": str(folder), **figures}
    assert figures["pulls"] >= 16 and 0 <= figures["iou_before"] < figures["iou_after"] <= 1
    bundle = open_bundle(folder)
    assert bundle.manifest["provenance"]["figures"]["iou_after"] == figures["iou_after"]
    assert edit_cli("learn", "finetune", clip, "-o", folder, *OPTIONS).returncode == 2, "it exists"


def test_the_tuned_holds_graphs_answer_as_its_network_does(
    site: tuple[Path, dict[str, Any]], tmp_path: Path, cat: np.ndarray
) -> None:
    model = load_hold(site[0].with_name("site.work") / "run" / "hold.safetensors")[0].eval()
    folder = Path(shutil.copytree(site[0], tmp_path / "bundle"))
    rewrite_manifest(folder, lambda manifest: manifest["hold"].update(sizes=[[[128, 192]]]))
    bundle = open_bundle(folder)
    parity = [row for row in bundle.manifest["provenance"]["parity"] if row["graph"].startswith("hold_")]
    assert len(parity) == 4 and all(row["snr_db"] >= MIN_SNR_DB for row in parity)
    assert all(graph["cost"]["bytes"][0] < 1e7 for graph in bundle.manifest["stages"]["hold"]), "weights alone"
    point, view = np.array([200.0, 120.0]), PhotoView(cat)
    found = HoldRun(bundle, Stages(bundle, OnnxRuntimeCpu(), "fp32")).answers(view, point)
    assert found is not None and found.shape == (3, 170, 256) and (found.std((1, 2)) > 0.1).all()
    small, at = view.resized((128, 192)), view.to_size(point, (128, 192))
    with torch.no_grad():
        picture = torch.from_numpy(small.transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1)
        seen = model.features(picture)
        expected = torch.sigmoid(model.grasp(torch.from_numpy(at[None]), *seen))[0].numpy()
    wanted = cv2.resize(expected.transpose(1, 2, 0), (256, 170)).transpose(2, 0, 1)
    np.testing.assert_allclose(found, np.minimum(wanted / (2 * LEVEL), 1), atol=1e-3)


def test_a_bundle_that_got_worse_is_not_handed_over(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgedrag.export import finetune as finetuning
    from edgedrag.generator.hold.network import Hold
    from edgedrag.generator.hold.training import HoldConfig
    from edgedrag.runtime.errors import EdgedragError

    def ruined(config: HoldConfig, run: Path) -> Path:
        run.mkdir(parents=True)
        hold = Hold()
        torch.nn.init.constant_(hold.grasp.head.bias, -30.0)
        hold.write(run / "hold.safetensors", {})
        return run / "hold.safetensors"

    monkeypatch.setattr(finetuning, "train_hold", ruined)  # it holds nothing
    with pytest.raises(EdgedragError, match=r"no bundle was written: .* the shipped one"):
        finetuning.finetune([clip], tmp_path / "site", None, updates=3, count=24, seed=0)
    assert [p.name for p in tmp_path.iterdir()] == ["site.work"]


def test_videos_that_cannot_be_tuned_to(edit_cli: Callable, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    done = edit_cli("learn", "finetune", tmp_path / "broken.mp4", "-o", tmp_path / "site")
    assert done.returncode == 2 and "broken.mp4: cannot be decoded" in done.stderr
    done = edit_cli("learn", "finetune", tmp_path / "broken.mp4", "-o", tmp_path / "nowhere" / "site")
    assert done.returncode == 2 and "no such folder" in done.stderr


def test_without_a_clone_the_answer_is_where_the_checkpoint_is(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgedrag.export.finetune import finetune
    from edgedrag.generator.training import checkpoint
    from edgedrag.runtime.errors import InputError

    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path / "site-packages" / "embedded.safetensors")
    with pytest.raises(InputError, match=r"checkpoints/hold.safetensors: it comes with a clone"):
        finetune([clip], tmp_path / "site", None, updates=2, count=16, seed=0)
    assert not [*tmp_path.iterdir()], "before any work is done"
