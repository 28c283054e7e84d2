"""What a figure was measured on."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from typing import Any

from edgedrag.runtime.session import Runtime

PACKAGES = ("edgedrag", "numpy", "opencv-python-headless", "onnxruntime", "torch", "tensorrt-rtx")


def machine(device: str) -> dict[str, Any]:
    """Date, device and versions."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.date.today().isoformat(),
        "device": device,
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
    }


def context(runtime: Runtime) -> dict[str, Any]:
    """The machine and the bundle's checkpoint, as every report of drags begins."""
    return {
        **machine(runtime.backend.device),
        "bundle": runtime.bundle.name,
        "checkpoint_sha256": runtime.bundle.manifest["provenance"]["checkpoint_sha256"],
        "backend": runtime.backend.name,
        "precision": runtime.precision,
    }
