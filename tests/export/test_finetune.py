"""Videos in, a bundle out: only where it got better."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgedrag.generator.hold.checkpoint import load_hold
from edgedrag.runtime.bundle.manifest import open_bundle

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


def test_a_sites_videos_become_a_bundle(edit_cli: Callable, clip: Path, tmp_path: Path) -> None:
    options = ("--updates", "8", "--count", "24", "--json")
    done = edit_cli("learn", "finetune", clip, "-o", tmp_path / "site", *options)
    figures = json.loads((tmp_path / "site.work" / "figures.json").read_text())
    assert figures["pulls"] >= 16 and 0 <= figures["iou_before"] <= 1
    if figures["iou_after"] > figures["iou_before"]:
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"bundle": str(tmp_path / "site"), **figures}
        bundle = open_bundle(tmp_path / "site")
        assert bundle.manifest["provenance"]["figures"]["iou_after"] == figures["iou_after"]
        assert bundle.stages["hold"], "it has the tuned hold"
        assert edit_cli("learn", "finetune", clip, "-o", tmp_path / "site", *options).returncode == 2, "it exists"
    else:
        assert done.returncode == 1 and "no bundle was written" in done.stderr
        assert not (tmp_path / "site").exists()
    assert load_hold(tmp_path / "site.work" / "run" / "hold.safetensors")


def test_a_bundle_that_got_worse_is_not_handed_over(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgedrag.export import finetune as finetuning
    from edgedrag.generator.hold.network import Hold
    from edgedrag.generator.hold.training import HoldConfig
    from edgedrag.runtime.errors import EdgedragError

    def ruined(config: HoldConfig, run: Path) -> Path:
        run.mkdir(parents=True)
        Hold().write(run / "hold.safetensors", {})
        return run / "hold.safetensors"

    monkeypatch.setattr(finetuning, "train_hold", ruined)  # to random weights
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
