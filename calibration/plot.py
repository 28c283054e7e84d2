"""Plot of the error against the share of work in INT8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def draw_choices(recipe: Mapping[str, Any]) -> np.ndarray:
    """Plot all measured choices of layers, the budget, and the chosen one; uint8 RGB."""
    figure = Figure(figsize=(7, 4.2), dpi=120, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    shares, psnr = zip(*((choice["share"] * 100, choice["psnr_db"]) for choice in recipe["choices"]))
    axes.plot(shares, psnr, ".", color="tab:blue", label="tried")
    chosen = recipe["figures"]["chosen"]
    axes.plot(chosen["share"] * 100, chosen["psnr_db"], "o", ms=10, color="tab:orange", label="chosen")
    axes.axhline(recipe["budget"]["psnr_db"], color="gray", ls="--", lw=1, label="budget")
    axes.set_xlabel("multiplications in INT8, %")
    axes.set_ylabel("PSNR against fp32 in the mask, dB")
    axes.set_title(f"{recipe['bundle']}, {recipe['calibration']['searched']} drags")
    axes.legend()
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
