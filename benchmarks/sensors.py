"""Clocks, temperatures and throttling of the system and its GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgedrag.benchmarks.nvidia import Card
from edgedrag.runtime.system.sensors import clocks, temperatures, throttling


def sample(card: Card, root: Path = Path("/")) -> dict[str, Any]:
    """The current readings; {} for those that the system does not provide."""
    shown = card.state()
    reasons = shown.pop("gpu_throttle_reasons", None)
    heat = {"gpu": shown.pop("gpu_c")} if "gpu_c" in shown else {}
    return {
        "clocks": {**clocks(root), **shown},
        "temperatures_c": {**temperatures(root), **heat},
        "throttle": {**throttling(root), **({} if reasons is None else {"gpu_reasons": reasons})},
    }
