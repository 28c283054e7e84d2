"""What of a cache of engines is of no use any more."""

from __future__ import annotations

import importlib.metadata

from edgedrag.runtime.backends.tensorrt.cache import EngineStore


def prune(store: EngineStore, everything: bool = False) -> list[tuple[str, str]]:
    """Remove engines that cannot serve and what stopped builds left; returns file names and why they went."""
    removed = []
    for path in store.strays():
        path.unlink(missing_ok=True)
        removed.append((path.name, "left over from a build that was stopped"))
    for stored in list(store.entries()):
        key = stored.manifest["key"]
        installed = installed_version(key["library"])
        reason = "all are removed" if everything else stored.fault()
        if reason is None and installed not in (None, key["version"]):
            reason = f"built with {key['library']} {key['version']}, {installed} is installed"
        if reason is not None:
            store.remove(stored)
            removed.append((stored.path.name, reason))
    return removed


def installed_version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None
