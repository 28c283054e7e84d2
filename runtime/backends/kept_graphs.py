"""Graphs as ONNX Runtime optimised them for this processor, kept on the disk: that is most of the work of loading them.

A file's name says what it was made of and by, and the SHA-256 of what it holds: one that is damaged is made again.
Where the folder cannot be written to, nothing is kept, and every start does the work.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from edgedrag.runtime.files import aside_file, cache_folder, remove_leftovers, sha256_of

LARGEST = 64 << 20  # bytes of a graph and its weights that is kept; larger ones load for seconds, and fill a disk
MOST = 512 << 20  # bytes of all that are kept; beyond, those go that were not used for longest


class KeptGraph:
    """The place of one optimised graph."""

    def __init__(self, *made_of: object):
        """`made_of`: all that the optimised graph depends on, as JSON."""
        self._folder = cache_folder() / "graphs"
        self._key = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:32]

    def find(self) -> Path | None:
        """The graph's file; None where none is kept."""
        for path in sorted(self._folder.glob(f"{self._key}-*.onnx")):
            with suppress(OSError):
                if path.stem == f"{self._key}-{sha256_of(path)}":
                    os.utime(path)
                    return path
        return None

    def remove(self) -> None:
        """Keep it no more: it is damaged, or ONNX Runtime does not take it."""
        _remove(list(self._folder.glob(f"{self._key}-*.onnx")))

    @contextmanager
    def written(self) -> Iterator[Path | None]:
        """A file to write the graph to, which is kept at the end if nothing was raised; None where none can be."""
        with ExitStack() as stack:
            place = None
            with suppress(OSError):
                self._folder.mkdir(parents=True, exist_ok=True)
                place = stack.enter_context(aside_file(self._folder))
            yield place
            with suppress(OSError):
                self._keep(place)

    def _keep(self, place: Path | None) -> None:
        if place is not None:
            self.remove()
            os.replace(place, self._folder / f"{self._key}-{sha256_of(place)}.onnx")
            _remove(_unused(self._folder))
            remove_leftovers(self._folder)


def _unused(folder: Path) -> list[Path]:
    """The files beyond `MOST` bytes, by when they were used last."""
    states = [(path.stat(), path) for path in folder.glob("*.onnx")]
    kept, unused = 0, []
    for state, path in sorted(states, key=lambda file: file[0].st_mtime, reverse=True):
        kept += state.st_size
        if kept > MOST:
            unused.append(path)
    return unused


def _remove(paths: list[Path]) -> None:
    for path in paths:
        with suppress(OSError):
            path.unlink()
