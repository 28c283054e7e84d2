"""The context of a measurement: machine, packages, bundle."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import edgedrag
from edgedrag.benchmarks.nvidia import Card
from edgedrag.benchmarks.sensors import sample
from edgedrag.runtime.backends.registry import PACKAGES as ENGINES
from edgedrag.runtime.session.runtime import Runtime
from edgedrag.runtime.system.power_mode import current_mode
from edgedrag.runtime.system.processor import vector_instructions
from edgedrag.runtime.system.sensors import board, governor

PACKAGES = ("edgedrag", "numpy", "opencv-python-headless", "onnxruntime", "torch", "tensorrt-rtx")


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """The versions of the installed packages."""
    installed = {}
    for package in packages:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def machine(device: str) -> dict[str, Any]:
    """Date, device, vector instructions, CPU count and package versions."""
    return {
        "date": datetime.date.today().isoformat(),
        "device": device,
        "vector_instructions": list(vector_instructions()),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": versions(),
    }


def context(runtime: Runtime) -> dict[str, Any]:
    """The machine, bundle, backend and precision: the head of every report on drags."""
    return {
        **machine(runtime.backend.device),
        "bundle": runtime.bundle.name,
        "bundle_version": runtime.bundle.manifest["version"],
        "checkpoint_sha256": runtime.bundle.manifest["provenance"]["checkpoint_sha256"],
        "backend": runtime.backend.name,
        "precision": runtime.precision,
    }


def full_context(opened: dict[str, Any], card: Card) -> dict[str, Any]:
    """Everything that a latency depends on.

    Args:
        opened: the result of `worker.Worker.opened`.
    """
    manifest = (Path(opened["folder"]) / "bundle.json").read_bytes()
    version = json.loads(manifest)["version"]
    named = ("bundle", "checkpoint_sha256", "recipe_sha256", "backend", "precision", "default_steps")
    packages = (*PACKAGES, "pillow", *(package for _, package in ENGINES.values()))
    return {
        **machine(opened["device"]),
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "board": board(),
        "memory_mb": memory_mb(),
        "gpu": card.identity(),
        "governor": governor(),
        "sensors": sample(card),
        "nvpmodel": None if (mode := current_mode()) is None else mode.name,
        "load_1min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "versions": versions(tuple(dict.fromkeys(packages))),
        **{name: opened[name] for name in named},
        "bundle_version": version,
        "manifest_sha256": hashlib.sha256(manifest).hexdigest(),
        "git_revision": git_revision(),
    }


def memory_mb() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    except (AttributeError, ValueError, OSError):
        return None


def first_line(*command: str) -> str | None:
    """The first line that a command prints; None if the command is missing or fails."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    lines = done.stdout.strip().splitlines()
    return lines[0] if done.returncode == 0 and lines else None


def git_revision(checkout: Path | None = None) -> str | None:
    """The revision of a checkout, with "+" if it has changes; None if edgedrag is installed rather than run from one.

    Args:
        checkout: None for the one that edgedrag runs from.
    """
    root = checkout or Path(edgedrag.__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    revision = first_line("git", "-C", str(root), "rev-parse", "HEAD")
    changed = first_line("git", "-C", str(root), "status", "--porcelain", "--untracked-files=no")
    return revision if revision is None or changed is None else f"{revision}+"
