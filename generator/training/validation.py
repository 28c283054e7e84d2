"""Validation on held-out pairs during training: scores for the log, and a contact sheet. Not used for selection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgedrag.generator.data.batches import Batch, Example, PairCache, stack
from edgedrag.generator.data.pairs import draggable, sample_points
from edgedrag.generator.diffusion.contract import Conditioning, DragGenerator
from edgedrag.generator.diffusion.sampling import sample
from edgedrag.runtime.photo.picture import Picture, save_picture
from edgedrag.runtime.session.sheet import draw_drag

PAIRS = 48
SHEET_ROWS = 8


def psnr_in_mask(edit: Tensor, batch: Batch) -> Tensor:
    """PSNR of each row of pictures in -1..1 within its mask, dB, [B]."""
    error = ((edit.clamp(-1, 1) - batch.target) ** 2 * batch.mask).sum((1, 2, 3)) / (3 * batch.mask.sum((1, 2, 3)))
    return 10 * torch.log10(4.0 / error.clamp_min(1e-6))


class Validation:
    """A fixed set of up to `PAIRS` pairs, spread over the clips of a folder."""

    def __init__(self, folder: Path, device: str, steps: tuple[int, ...], limit: int = PAIRS):
        cache = PairCache(folder)
        self.steps = steps
        self.device = torch.device(device)
        self.rows: list[Batch] = []
        per_clip = -(-limit // len(cache.clips))
        for clip in cache.clips:
            for index in np.unique(np.linspace(0, len(clip["mask"]) - 1, per_clip).astype(int)):
                pair = {k: v[index] for k, v in clip.items()}
                flow = pair["flow"].astype(np.float32)
                points = sample_points(
                    flow, draggable(pair["target"], pair["valid"]), pair["mask"], np.random.default_rng(int(index))
                )
                if len(points):
                    source, target = (pair[k].astype(np.float32) / 127.5 - 1 for k in ("source", "target"))
                    self.rows.append(
                        stack([Example(source, target, flow, pair["valid"], pair["mask"], points).as_row()])
                    )

    @torch.no_grad()
    def measure(self, model: DragGenerator, sheet: Path | None = None) -> dict[str, float]:
        """Mean PSNR (dB) in the mask, of the unedited source and of the edit at each step count.

        `sheet` is a picture to write: the drag, the edit at the last step count, and the truth, row by row.
        """
        scores: dict[str, list[float]] = {}
        pictures: list[np.ndarray] = []
        for number, row in enumerate(self.rows):
            batch = row.to(self.device)
            conditioning: Conditioning = model.conditioning(batch)
            scores.setdefault("held_out_psnr_unedited", []).append(float(psnr_in_mask(batch.source, batch)))
            edit = batch.source
            for steps in self.steps:
                noise = torch.Generator().manual_seed(number)
                edit = model.finish(
                    batch,
                    conditioning,
                    model.decode(sample(model, batch, conditioning, steps, noise)[-1], conditioning),
                )
                scores.setdefault(f"held_out_psnr_{steps}_step", []).append(float(psnr_in_mask(edit, batch)))
            if number % max(1, len(self.rows) // SHEET_ROWS) == 0:
                source, result, truth = (_pixels(p) for p in (batch.source, edit, batch.target))
                mask = batch.mask[0, 0].cpu().numpy() > 0
                pictures.append(np.hstack([draw_drag(source, mask, batch.points[0].cpu().numpy()), result, truth]))
        if sheet is not None:
            save_picture(sheet, Picture(np.vstack(pictures)))
        return {name: float(np.mean(values)) for name, values in scores.items()}


def _pixels(picture: Tensor) -> np.ndarray:
    """The picture of a batch of one, in -1..1, as uint8 RGB [H, W, 3]."""
    return ((picture[0].clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
