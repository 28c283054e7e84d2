"""One pair that every test of training can learn from, and networks small enough to."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from edgedrag.generator.data.batches import Batch, Example, stack
from edgedrag.generator.networks.embedded import EmbeddedConfig, EmbeddedGenerator


def moving_square(size: int = 64) -> dict[str, np.ndarray]:
    """One pair: a textured square that moves 8 pixels to the right."""
    rng = np.random.default_rng(0)
    coarse = [rng.integers(0, 255, (size // 8, size // 8, 3), dtype=np.uint8) for _ in range(2)]
    ground, patch = (cv2.resize(c, (size, size), interpolation=cv2.INTER_CUBIC) for c in coarse)
    source, target, flow = ground.copy(), ground.copy(), np.zeros((size, size, 2), np.float16)
    source[20:40, 16:36], target[20:40, 24:44] = patch[:20, :20], patch[:20, :20]
    flow[20:40, 24:44, 0] = -8
    mask, valid = np.zeros((size, size), bool), np.ones((size, size), bool)
    mask[16:44, 12:48] = True
    valid[20:40, 16:24] = False
    return {"source": source, "target": target, "flow": flow, "valid": valid, "mask": mask}


def batch_of(pair: dict[str, np.ndarray]) -> Batch:
    source, target = (pair[k].astype(np.float32) / 127.5 - 1 for k in ("source", "target"))
    points = np.array([[26, 30, 34, 30]], np.float32)
    example = Example(source, target, pair["flow"].astype(np.float32), pair["valid"], pair["mask"], points)
    return replace(stack([example.as_row(back=True)]), back_prior_flow=None)


def small_generator() -> EmbeddedGenerator:
    return EmbeddedGenerator(EmbeddedConfig((16, 24, 32), (1, 1, 1), (1, 1, 1, 1), (1, 1, 1)))
