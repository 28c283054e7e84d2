"""Drags through LightningDrag's bundles, and what their descriptions say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from lightningdrag_bundles import fp16, fp32, published

import edgedrag

Cli = Callable[..., CompletedProcess[str]]

__all__ = ["fp16", "fp32", "published"]
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_command_that_drags_takes_any_bundle(
    request: pytest.FixtureRequest, precision: str, edit_cli: Cli, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"
    pixels = np.random.default_rng(2).integers(0, 255, (280, 330, 3), dtype=np.uint8)
    edgedrag.save_picture(photo, edgedrag.Picture(pixels))
    bundle, out, drawn = request.getfixturevalue(precision), tmp_path / "out.png", tmp_path / "mask.png"
    drag = ("--drag", "150,140:180,150", "--steps", "2", "--bundle", bundle)
    done = edit_cli("drag", photo, *drag, "-o", out, "--mask-out", drawn, "--json")
    assert done.returncode == 0, done.stderr
    outside = edgedrag.load_picture(drawn).pixels.reshape(280, 330) == 0
    edit = edgedrag.load_picture(out).pixels
    assert np.array_equal(edit[outside], pixels[outside]) and not np.array_equal(edit, pixels)


def test_what_a_second_drag_does_not_run_again(fp32: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = edgedrag.open(fp32)
    ran: list[str] = []
    for _, graph, compiled in runtime.stages.graphs():
        for branch in compiled.values():

            def noted(tensors: dict, name: str = graph.name, run: Callable = branch.run) -> dict:
                ran.append(name)
                return run(tensors)

            monkeypatch.setattr(branch, "run", noted)
    photo = runtime.load(np.random.default_rng(2).integers(0, 255, (256, 256, 3), dtype=np.uint8))
    mask = np.zeros((256, 256), np.uint8)
    mask[60:200, 60:200] = 255
    photo.drag([((100, 100), (120, 110))], mask=mask, steps=1)
    assert {"vae_encode", "clip", "appearance", "masked_encode", "points"} <= set(ran)
    photo.undo()
    ran.clear()
    photo.drag([((110, 120), (120, 110))], mask=mask, steps=1)
    assert set(ran) == {"points", "start", "unet", "vae_decode"}, "the same photo and mask: only the points are new"
    photo.undo()
    ran.clear()
    mask[40:60, 100] = 255
    photo.drag([((110, 120), (120, 110))], mask=mask, steps=1)
    assert "masked_encode" in ran and "appearance" not in ran


def test_costs_are_printed_without_pytorch(fp32: Path, edit_process: Cli) -> None:
    done = edit_process("info", fp32, "--cost")
    assert done.returncode == 0, done.stderr
    for word in ("vae_encode", "unet, guidance pair", "small decoder", "as published", "GFLOP"):
        assert word in done.stdout, done.stdout
    assert "torch" not in done.stderr
