"""The package's extras: which of them brings a module, and the command that installs one from where the person is."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from edgedrag.runtime.codes import Code
from edgedrag.runtime.errors import EngineError

PACKAGE = "edgedrag"
IMPORTED_AS = {"cuda": "cuda-python", "pynvml": "nvidia-ml-py"}  # where only the hyphens of a name do not explain it


def install_command(extra: str) -> str:
    """The command that adds an extra here, between backticks: the package is on no index, so pip needs its source."""
    source = _source()
    named = f"{source}[{extra}]" if "://" not in (source or "") else f"{PACKAGE}[{extra}] @ {source}"
    return f'`{_pip()} install "{named}"`' if source else f'`{_pip()} install ".[{extra}]"` in a clone of {PACKAGE}'


def missing_package(module: str, extra: str | None = None) -> EngineError | None:
    """The error that says how to install what brings a module; None where no extra does.

    Args:
        extra: named where it is among several that bring the module.
    """
    extras = _extras_with(module.partition(".")[0])
    if not extras:
        return None
    chosen = extra if extra in extras else extras[0]
    package = _distribution(module.partition(".")[0])
    return EngineError(f"{package} is not installed; install it with {install_command(chosen)}", Code.NOT_INSTALLED)


def _distribution(module: str) -> str:
    return IMPORTED_AS.get(module, module.replace("_", "-"))


def _extras_with(module: str) -> list[str]:
    """The extras that bring a top-level module, those with the fewest packages first."""
    packages = extras()
    found = [extra for extra in packages if _distribution(module) in packages[extra]]
    return sorted(found, key=lambda extra: len(packages[extra]))


def extras() -> dict[str, set[str]]:
    """The packages of each extra, from the metadata of the installed package; empty where it is not installed."""
    from importlib import metadata  # slow to import, and only needed here and below

    try:
        required = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return {}
    packages: dict[str, set[str]] = {}
    included: dict[str, set[str]] = {}
    for line in required:
        found = re.match(r"([\w.-]+)(?:\[([\w, -]+)\])?.*?extra\s*==\s*['\"]([\w-]+)", line)
        if found is None:
            continue
        name, others, extra = found[1].lower().replace("_", "-"), found[2], found[3]
        packages.setdefault(extra, set())
        if name == PACKAGE:
            included.setdefault(extra, set()).update(part.strip() for part in (others or "").split(","))
        else:
            packages[extra].add(name)
    return {extra: set().union(*(packages[part] for part in _closure(extra, included))) for extra in packages}


def _closure(extra: str, included: dict[str, set[str]]) -> set[str]:
    """An extra and those that it includes."""
    return {extra}.union(*(_closure(part, included) for part in included.get(extra, ())))


def _source() -> str | None:
    """What pip can install the package from: the clone here, the clone or address that it came from, or None."""
    from importlib import metadata

    if _is_clone(Path.cwd()):
        return "."
    clone = Path(__file__).resolve().parents[1]  # runtime/ in a clone, edgedrag/runtime/ where installed
    if _is_clone(clone):
        return str(clone)
    try:
        text = metadata.distribution(PACKAGE).read_text("direct_url.json")  # PEP 610
    except metadata.PackageNotFoundError:
        return None
    origin = json.loads(text) if text else {}
    address = str(origin.get("url", ""))
    if "vcs_info" in origin:
        return f"{origin['vcs_info']['vcs']}+{address}"
    if not address.startswith("file://"):
        return address or None
    from urllib.parse import unquote, urlparse

    path = Path(unquote(urlparse(address).path))
    if path.is_dir():
        return str(path) if _is_clone(path) else None
    return address if path.is_file() else None


def _is_clone(folder: Path) -> bool:
    try:
        return f'name = "{PACKAGE}"' in (folder / "pyproject.toml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def _pip() -> str:
    """`pip` where that is this Python's; else its path, where it lies beside this Python."""
    import shutil

    beside = shutil.which("pip", path=str(Path(sys.executable).parent))
    if beside is None or shutil.which("pip") == beside:
        return "pip"
    try:
        return str(Path(beside).relative_to(Path.cwd()))
    except ValueError:
        return beside
