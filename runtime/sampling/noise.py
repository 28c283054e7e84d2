"""Noise that is the same on every machine: Philox4x64-10 and the Box-Muller transform.

Row k of seed s is made of the 64-bit outputs of Philox (Salmon et al., SC 2011) with key (s, 0) and
counter (0, 0, 0, k). Their upper 53 bits, plus a half, over 2^53 are uniforms u in (0, 1);
of each two, sqrt(-2 ln u1) cos(2 pi u2) and sqrt(-2 ln u1) sin(2 pi u2) are neighbouring normals.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np


@lru_cache(maxsize=8)
def normal(seed: int, row: int, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal float32 numbers of `shape`, read-only; `seed` in 0 .. 2^64 - 1."""
    count = math.prod(shape)
    source = np.random.Philox(key=[seed, 0], counter=[0, 0, 0, row])
    raw = source.random_raw(count + count % 2)
    uniform = ((raw >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
    radius = np.sqrt(-2.0 * np.log(uniform[0::2]))
    angle = 2.0 * np.pi * uniform[1::2]
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
    noise = pairs.reshape(-1)[:count].reshape(shape).astype(np.float32)
    noise.flags.writeable = False
    return noise
