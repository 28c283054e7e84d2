"""Which release serves: chosen, and taken back."""

from __future__ import annotations

from dataclasses import replace

from edgedrag.runtime.bundle.installed import Serving, Trial, read_serving, write_serving
from edgedrag.runtime.bundle.manifest import is_shipped, open_bundle
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.options import RuntimeOptions
from edgedrag.runtime.releases.install import golden_drag, verify
from edgedrag.runtime.releases.store import changing, prune, releases, serving_or_none

SHIPPED = "shipped"  # what `use` takes for the bundle that comes with edgedrag
STEPS_BACK = 2  # releases that served before and are kept for a rollback


def use(
    name: str,
    release: str | None = None,
    trial: Trial | None = None,
    options: RuntimeOptions = RuntimeOptions(),
) -> Serving:
    """Let a release serve, after its files and its golden drag were checked on the engine that is here now.

    Args:
        release: the newest where None; "shipped" for the bundle that comes with edgedrag under this name.
        trial: what its first edits in a station are held to.
        options: the engine that it is tested on; their bundle does not count.

    Raises:
        InputError: no such name or release.
        BundleError, EngineError: it is damaged or fails its golden drag; what served serves on.
    """
    with changing(name) as folder:
        chosen = _chosen(name, release)
        if chosen is not None:
            bundle = open_bundle(folder / chosen)
            verify(bundle)
            golden_drag(bundle, options)
        serving = _after(name, chosen, trial)
        write_serving(name, serving)
        prune(name)
    return serving


def _chosen(name: str, release: str | None) -> str | None:
    """The release that is asked for; None for the shipped bundle. Raises InputError."""
    installed = releases(name)
    if release == SHIPPED:
        if not is_shipped(name):
            raise InputError(f"{name}: no bundle of this name ships with edgedrag")
        return None
    if not installed:
        raise InputError(f"{name}: nothing is installed under this name; `edgedrag bundle install SOURCE`")
    if release is not None and release not in installed:
        raise InputError(f"{name}: no release '{release}'; installed: {', '.join(installed)}")
    return release or installed[0]


def _after(name: str, chosen: str | None, trial: Trial | None) -> Serving:
    """What is written when `chosen` serves from now on."""
    was = serving_or_none(name)
    if was is None:
        was = Serving(None) if is_shipped(name) else Serving(chosen)
    if was.release == chosen:
        return Serving(chosen, was.before, was.trial)
    before = [each for each in (was.release, *was.before) if each != chosen]
    return Serving(chosen, tuple(before[:STEPS_BACK]), trial)


def rollback(name: str, reason: str = "", only: str | None = None) -> Serving:
    """Let the release serve that served before.

    Args:
        reason: why, where a station does it by itself.
        only: do nothing where another release than this one serves meanwhile.

    Raises:
        InputError: there is none.
    """
    with changing(name) as folder:
        was = read_serving(name)
        if was is None:
            raise InputError(f"{name}: nothing is installed under this name; `edgedrag bundle install SOURCE`")
        if only is not None and was.release != only:
            return was
        there = [each for each in was.before if (is_shipped(name) if each is None else (folder / each).is_dir())]
        if not there:
            raise InputError(f"{name}: nothing served before '{was.release or SHIPPED}'")
        because = f"{was.release or SHIPPED}: {reason}" if reason else ""
        serving = Serving(there[0], tuple(there[1:]), None, because)
        write_serving(name, serving)
    return serving


def pass_trial(name: str, release: str | None) -> None:
    """Record that a release kept to its trial; nothing where another one serves meanwhile."""
    with changing(name):
        serving = read_serving(name)
        if serving is not None and serving.release == release:
            write_serving(name, replace(serving, trial=None))
