"""Graphs as ONNX Runtime optimised them for this processor, kept on the disk: that is most of the work of loading them.

Each is a folder with the graph and its weights, which ONNX Runtime maps into memory instead of copying them. The
folder's name says what the graph was made of and by, and the SHA-256 of its files: one that is damaged is made again.
Where the folders cannot be written to, nothing is kept, and every start does the work.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from mmap import ACCESS_READ, mmap
from pathlib import Path

from edgedrag.runtime.bundle.external_data import check_external_data
from edgedrag.runtime.errors import BundleError
from edgedrag.runtime.files import aside_folder, cache_folder, remove_leftovers

GRAPH, WEIGHTS = "graph.onnx", "weights.bin"
MAPPED = 1 << 15  # bytes of a tensor from which on it lies with the weights
LARGEST = 64 << 20  # bytes of a graph and its weights that is kept; larger ones load for seconds, and fill a disk
MOST = 512 << 20  # bytes of all that are kept; beyond, those go that were not used for longest


class KeptGraph:
    """The place of one optimised graph."""

    def __init__(self, *made_of: object):
        """`made_of`: all that the optimised graph depends on, as JSON."""
        self._folder = cache_folder() / "graphs"
        self._key = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:32]

    def find(self) -> Path | None:
        """The graph's file, beside its weights; None where none is kept."""
        for place in self._places():
            with suppress(OSError, BundleError):
                if place.name == f"{self._key}-{_digest(place)}":
                    weights = place / WEIGHTS
                    check_external_data(place / GRAPH, {WEIGHTS: weights.stat().st_size} if weights.exists() else {})
                    os.utime(place)
                    return place / GRAPH
        return None

    def remove(self) -> None:
        """Keep it no more: it is damaged, or ONNX Runtime does not take it."""
        _remove(self._places())

    @contextmanager
    def written(self) -> Iterator[Path | None]:
        """A file to write the graph to, with its weights beside it as WEIGHTS, which are kept at the end if nothing was
        raised; None where none can be."""
        with ExitStack() as stack:
            place = None
            with suppress(OSError):
                self._folder.mkdir(parents=True, exist_ok=True)
                place = stack.enter_context(aside_folder(self._folder))
            yield None if place is None else place / GRAPH
            with suppress(OSError):
                self._keep(place)

    def _keep(self, place: Path | None) -> None:
        if place is not None:
            self.remove()
            os.replace(place, self._folder / f"{self._key}-{_digest(place)}")
            _remove(_unused(self._folder))
            remove_leftovers(self._folder)

    def _places(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._key}-*"))


def _digest(place: Path) -> str:
    """The SHA-256 of a folder's files."""
    digest = hashlib.sha256()
    for path in sorted(path for path in place.iterdir() if path.stat().st_size):  # an empty one cannot be mapped
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            digest.update(content)
    return digest.hexdigest()


def _unused(folder: Path) -> list[Path]:
    """The graphs beyond `MOST` bytes, by when they were used last."""
    places = [path for path in folder.iterdir() if not path.name.startswith(".")]
    kept, unused = 0, []
    for place in sorted(places, key=lambda path: path.stat().st_mtime, reverse=True):
        kept += sum(path.stat().st_size for path in place.iterdir())
        if kept > MOST:
            unused.append(place)
    return unused


def _remove(places: list[Path]) -> None:
    import shutil  # here: it loads libraries for compression

    for place in places:
        with suppress(OSError):
            place.unlink() if place.is_file() else shutil.rmtree(place)
