"""What this machine has and the state it is in, what would be chosen, and why each other engine was not."""

from __future__ import annotations

import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgedrag.runtime.backends.registry import probe
from edgedrag.runtime.backends.tensorrt.cache import EngineStore
from edgedrag.runtime.bundle.manifest import Bundle, open_bundle
from edgedrag.runtime.codes import Code
from edgedrag.runtime.errors import EdgedragError
from edgedrag.runtime.options import BACKENDS, RuntimeOptions
from edgedrag.runtime.selection.select import Selection, select_backend
from edgedrag.runtime.selection.self_test import self_test
from edgedrag.runtime.system.cpus import allowed_cpus, cpu_quota, default_threads
from edgedrag.runtime.system.processor import cpu_name
from edgedrag.runtime.system.state import describe_system, system_state


def examine(version: str, bundle: str | Path = "embedded", engines: Path | None = None) -> dict[str, Any]:
    """The facts that `edgedrag doctor --json` prints; `chosen` is None where nothing can serve."""
    selected, test, reason = None, None, ""
    try:
        options = RuntimeOptions(bundle, engines=engines)
        opened = open_bundle(options.bundle)
        selected = select_backend(opened, options)
        test = _self_test(opened, selected)
    except EdgedragError as error:
        reason = str(error)
    backend = selected.stages.backend if selected else None
    return {
        "edgedrag": version,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": backend.device if backend else cpu_name(),
        "cpus": {"allowed": allowed_cpus(), "quota": cpu_quota(), "threads": default_threads()},
        "system": system_state(),
        "versions": {"numpy": np.__version__, "opencv": cv2.__version__},
        "engines": [_engine(name, selected) for name in BACKENDS],
        "chosen": backend.name if backend else None,
        "bundle": {
            "name": str(bundle),
            "usable": selected is not None,
            "precision": selected.stages.precision if selected else None,
            "reason": reason,
            "self_test": test,
        },
        "built": _built(engines),
    }


def _engine(name: str, selected: Selection | None) -> dict[str, Any]:
    finding = probe(name)
    code, reason = str(finding.code or ""), finding.reason
    chosen = selected.stages.backend.name if selected else None
    if selected is not None and not code:
        step = next((s for s in selected.fallback if s.backend == name), None)
        if step is not None:
            code, reason = str(step.code), step.reason
        elif name != chosen:
            code, reason = str(Code.NOT_NEEDED), f"{chosen} comes before it"
    return {
        "name": name,
        "usable": finding.usable,
        "version": finding.version,
        "chosen": name == chosen,
        "code": code,
        "reason": reason,
    }


def _self_test(bundle: Bundle, selected: Selection) -> dict[str, Any] | None:
    """Of the backend that was chosen; one on a GPU has taken its own when it was opened."""
    try:
        golden = selected.golden or self_test(bundle, selected.stages)
    except EdgedragError as error:
        return {"passed": False, "reason": str(error)}
    return None if golden is None else {"passed": True, **asdict(golden)}


def _built(engines: Path | None) -> dict[str, Any]:
    store = EngineStore(engines)
    sizes = [stored.manifest["bytes"] for stored in store.entries()]
    return {"folder": str(store.folder), "engines": len(sizes), "bytes": sum(sizes)}


def _cpus(facts: dict[str, Any]) -> str:
    quota = "" if facts["quota"] is None else f", control groups allow the time of {facts['quota']:g}"
    return f"CPUs: {facts['allowed']} that this process may run on{quota}; threads by default: {facts['threads']}"


def describe(facts: dict[str, Any]) -> str:
    """The same for people."""
    lines = [
        f"edgedrag {facts['edgedrag']}, Python {facts['python']}, {facts['platform']}",
        f"device: {facts['device']}",
        _cpus(facts["cpus"]),
        *describe_system(facts["system"]),
        "",
        "engines, in the order in which 'auto' tries them:",
    ]
    for engine in facts["engines"]:
        state = "chosen" if engine["chosen"] else f"not used ({engine['code']}): {engine['reason']}"
        lines.append(f"  {engine['name']:<13} {engine['version'] or '-':<12} {state}")
    bundle, built = facts["bundle"], facts["built"]
    state = f"ready, {bundle['precision']}" if bundle["usable"] else bundle["reason"]
    lines += ["", f"bundle '{bundle['name']}': {state}"]
    test = bundle["self_test"]
    if test is not None:
        passed = f"passed, {test['psnr_db']} dB (at least {test['least_db']})" if test["passed"] else test["reason"]
        lines.append(f"self-test: {passed}")
    lines.append(f"built engines: {built['engines']}, {built['bytes'] / 1e6:.0f} MB in {built['folder']}")
    return "\n".join(lines)
