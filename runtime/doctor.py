"""What this machine has, what would be chosen, and why each other engine was not."""

from __future__ import annotations

import platform
from typing import Any

import cv2
import numpy as np

from edgedrag.runtime.backends import NAMES, open_backend, probe
from edgedrag.runtime.errors import EdgedragError
from edgedrag.runtime.session import open_runtime


def examine(version: str) -> dict[str, Any]:
    """The facts that `edgedrag doctor --json` prints; `chosen` is None where nothing can serve."""
    findings = [probe(name) for name in NAMES]
    chosen = next((f.name for f in findings if f.usable), None)
    bundle: dict[str, Any] = {"name": "embedded"}
    try:
        runtime = open_runtime()
        bundle |= {"usable": True, "precision": runtime.precision, "reason": ""}
    except EdgedragError as error:
        bundle |= {"usable": False, "precision": None, "reason": str(error)}
    return {
        "edgedrag": version,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": open_backend(chosen).device if chosen else None,
        "versions": {"numpy": np.__version__, "opencv": cv2.__version__},
        "engines": [
            {
                "name": f.name,
                "usable": f.usable,
                "version": f.version,
                "chosen": f.name == chosen,
                "reason": f.reason or ("" if f.name == chosen else f"{chosen} comes before it"),
            }
            for f in findings
        ],
        "chosen": chosen,
        "bundle": bundle,
    }


def describe(facts: dict[str, Any]) -> str:
    """The same for people."""
    lines = [
        f"edgedrag {facts['edgedrag']}, Python {facts['python']}, {facts['platform']}",
        f"device: {facts['device'] or 'none'}",
        "",
        "engines, in the order in which 'auto' tries them:",
    ]
    for engine in facts["engines"]:
        state = "chosen" if engine["chosen"] else "not used: " + engine["reason"]
        lines.append(f"  {engine['name']:<13} {engine['version'] or '-':<10} {state}")
    bundle = facts["bundle"]
    state = f"ready, {bundle['precision']}" if bundle["usable"] else bundle["reason"]
    return "\n".join([*lines, "", f"bundle '{bundle['name']}': {state}"])
